// Auditverify verifies what an audit log gives, by Go's implementation of notes and transparency logs.
//
//	auditverify proof VERIFIER PROOF ENTRY   a tlog-proof that the file ENTRY is in the log
//	auditverify tiles VERIFIER DIRECTORY     tlog-tiles: each entry is proven from tiles, against the checkpoint
//	auditverify tree VERIFIER OLD NEW PROOF  two checkpoints, and the hashes of a proof that one continues the other
//	auditverify sign SIGNER TEXT             signs a text, for others to verify
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	commands := map[string]func([]string) error{"proof": proof, "tiles": tiles, "tree": tree, "sign": sign}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(content)
}

func open(verifier, signed string) (tlog.Tree, error) {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, err
	}
	// ParseTree knows one origin alone, that of Go's own log; the lines behind it are the same.
	_, rest, _ := strings.Cut(opened.Text, "\n")
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func hashes(lines []string) ([]tlog.Hash, error) {
	found := []tlog.Hash{}
	for _, line := range lines {
		if line == "" {
			continue
		}
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		found = append(found, hash)
	}
	return found, nil
}

func proof(args []string) error {
	above, signed, _ := strings.Cut(read(args[1]), "\n\n")
	lines := strings.Split(above, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("no proof")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	if err != nil {
		return err
	}
	path, err := hashes(lines[2:])
	if err != nil {
		return err
	}
	log, err := open(args[0], signed)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(tlog.RecordProof(path), log.N, log.Hash, index, tlog.RecordHash([]byte(read(args[2]))))
}

func tree(args []string) error {
	older, err := open(args[0], read(args[1]))
	if err != nil {
		return err
	}
	newer, err := open(args[0], read(args[2]))
	if err != nil {
		return err
	}
	path, err := hashes(strings.Split(read(args[3]), "\n"))
	if err != nil {
		return err
	}
	return tlog.CheckTree(tlog.TreeProof(path), newer.N, newer.Hash, older.N, older.Hash)
}

type directory string

func (directory) Height() int { return 8 }

func (d directory) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := [][]byte{}
	for _, tile := range wanted {
		// Go's paths have the height, which is always 8 here.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		content, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

func (directory) SaveTiles([]tlog.Tile, [][]byte) {}

func tiles(args []string) error {
	log, err := open(args[0], read(filepath.Join(args[1], "checkpoint")))
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(log, directory(args[1]))
	for index := int64(0); index < log.N; index++ {
		tile := tlog.Tile{H: 8, L: -1, N: index / 256, W: int(min(256, log.N-index/256*256))}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		bundle := []byte(read(filepath.Join(args[1], path)))
		var entry []byte
		for skip := index % 256; skip >= 0; skip-- {
			length := binary.BigEndian.Uint16(bundle)
			entry, bundle = bundle[2:2+length], bundle[2+length:]
		}
		hashes_, err := tlog.ProveRecord(log.N, index, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(hashes_, log.N, log.Hash, index, tlog.RecordHash(entry)); err != nil {
			return err
		}
	}
	return nil
}

func sign(args []string) error {
	signer, err := note.NewSigner(args[0])
	if err != nil {
		return err
	}
	signed, err := note.Sign(&note.Note{Text: read(args[1])}, signer)
	if err != nil {
		return err
	}
	fmt.Println(base64.StdEncoding.EncodeToString(signed))
	return nil
}
