// Judges histories: reads JSON lines from standard input, and says for each object (a secret, a vault's seal, a token)
// whether what was answered can have happened in some order in which each call took effect at one moment between its
// invocation and its answer. The checker is porcupine; the models are below.
//
// A line is one call: {"object": "kv/1", "client": 3, "call": 12, "return": 15, "op": "put", ...}. Times are
// nanoseconds of one clock; a return of -1 means that it is not known whether it took effect: it may have, at any
// moment after its invocation, or never.
//
// The last line of the output sums up; each object that is not linearizable, or not known to be, has a line before it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Call is one line.
type Call struct {
	Object  string `json:"object"`
	Client  int    `json:"client"`
	Call    int64  `json:"call"`
	Return  int64  `json:"return"`
	Op      string `json:"op"`
	Cas     *int   `json:"cas"`     // of a put: the version that it rests on
	Value   string `json:"value"`   // written, or read
	Version int    `json:"version"` // written, or read; 0: there is none
	Refused bool   `json:"refused"` // the server said that the state forbids it
	Uses    int    `json:"uses"`    // of "make": how often a token may be used
}

func (c Call) unknown() bool { return c.Return < 0 }

// A secret with versions: a put that names a version succeeds where that is the last one, and is refused elsewhere.
type secret struct {
	version int
	value   string
}

func stepSecret(state, input, _ interface{}) (bool, interface{}) {
	now, call := state.(secret), input.(Call)
	switch call.Op {
	case "get":
		return now.version == call.Version && now.value == call.Value, now
	case "put":
		fits := call.Cas == nil || *call.Cas == now.version
		next := secret{now.version + 1, call.Value}
		switch {
		case call.unknown():
			if fits {
				return true, next
			}
			return true, now
		case call.Refused:
			return !fits, now
		default:
			return fits && call.Version == next.version, next
		}
	}
	return false, now
}

// What may be closed, and opened again: a vault by its seal, a token by its revocation. A change that was made is one
// while it was open; "refused" says that it is closed.
func stepGate(state, input, _ interface{}) (bool, interface{}) {
	open, call := state.(bool), input.(Call)
	switch call.Op {
	case "open":
		return true, true
	case "close":
		return true, false
	case "change":
		return open != call.Refused, open
	}
	return false, open
}

// A token that may be used so often. -1: it is not made yet.
func stepUses(state, input, _ interface{}) (bool, interface{}) {
	left, call := state.(int), input.(Call)
	switch call.Op {
	case "make":
		return left < 0, call.Uses
	case "use":
		switch {
		case call.unknown():
			return true, max(left-1, min(left, 0))
		case call.Refused:
			return left == 0, left
		default:
			return left > 0, left - 1
		}
	}
	return false, left
}

var models = map[string]porcupine.Model{
	"kv":   {Init: func() interface{} { return secret{} }, Step: stepSecret},
	"gate": {Init: func() interface{} { return true }, Step: stepGate},
	"uses": {Init: func() interface{} { return -1 }, Step: stepUses},
}

// A read, or a refusal, that nobody has an answer of, says nothing; a change of a gate likewise.
func saysNothing(call Call) bool {
	return call.unknown() && (call.Op == "get" || call.Op == "change")
}

func main() {
	patience := 60 * time.Second
	if len(os.Args) > 1 {
		given, err := time.ParseDuration(os.Args[1])
		fail(err)
		patience = given
	}
	histories, count, unclear := read()
	names := make([]string, 0, len(histories))
	for name := range histories {
		names = append(names, name)
	}
	sort.Strings(names)
	illegal, undecided := 0, 0
	for _, name := range names {
		kind, _, _ := strings.Cut(name, "/")
		model, known := models[kind]
		if !known {
			fail(fmt.Errorf("no model is called %q", kind))
		}
		switch porcupine.CheckOperationsTimeout(model, histories[name], patience) {
		case porcupine.Illegal:
			illegal++
			tell(map[string]interface{}{"object": name, "verdict": "not linearizable"})
		case porcupine.Unknown:
			undecided++
			tell(map[string]interface{}{"object": name, "verdict": "unknown"})
		}
	}
	tell(map[string]interface{}{
		"objects": len(names), "operations": count, "unclear": unclear, "illegal": illegal, "unknown": undecided,
	})
	if illegal > 0 {
		os.Exit(1)
	}
	if undecided > 0 {
		os.Exit(3)
	}
}

func read() (map[string][]porcupine.Operation, int, int) {
	histories, count, unclear := map[string][]porcupine.Operation{}, 0, 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var call Call
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		fail(decoder.Decode(&call))
		count++
		if call.unknown() {
			unclear++
		}
		if saysNothing(call) {
			continue
		}
		end := call.Return
		if call.unknown() {
			end = math.MaxInt64
		}
		histories[call.Object] = append(histories[call.Object], porcupine.Operation{
			ClientId: call.Client, Input: call, Call: call.Call, Output: nil, Return: end,
		})
	}
	fail(lines.Err())
	return histories, count, unclear
}

func tell(line map[string]interface{}) {
	encoded, err := json.Marshal(line)
	fail(err)
	fmt.Println(string(encoded))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}
