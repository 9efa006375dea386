// Calls a socket as a Kubernetes API server does: by Kubernetes' own generated clients (`kms`, `jwt`), and by the
// transformer of values that API servers have (`transform`). Exits with 0 where all is answered as it should be.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	jwt "k8s.io/externaljwt/apis/v1"
	kms "k8s.io/kms/apis/v2"
)

func main() {
	if len(os.Args) != 3 {
		fail("usage: kubernetes kms|jwt|transform SOCKET")
	}
	if os.Args[1] == "transform" {
		transform(context.Background(), os.Args[2])
		return
	}
	connection, err := grpc.NewClient("unix://"+os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch os.Args[1] {
	case "kms":
		seal(ctx, kms.NewKeyManagementServiceClient(connection))
	case "jwt":
		sign(ctx, jwt.NewExternalJWTSignerClient(connection))
	default:
		fail("neither kms, nor jwt, nor transform")
	}
}

func seal(ctx context.Context, client kms.KeyManagementServiceClient) {
	status, err := client.Status(ctx, &kms.StatusRequest{})
	check(err)
	if status.Version != "v2" || status.Healthz != "ok" || status.KeyId == "" || len(status.KeyId) >= 1024 {
		fail(fmt.Sprint("not a status that an API server takes: ", status))
	}
	seed := bytes.Repeat([]byte{0, 0xff}, 16)
	sealed, err := client.Encrypt(ctx, &kms.EncryptRequest{Plaintext: seed, Uid: "1"})
	check(err)
	if len(sealed.Ciphertext) == 0 || len(sealed.Ciphertext) >= 1024 || sealed.KeyId != status.KeyId {
		fail("not a ciphertext that an API server takes")
	}
	request := &kms.DecryptRequest{
		Ciphertext: sealed.Ciphertext, Uid: "2", KeyId: sealed.KeyId, Annotations: sealed.Annotations,
	}
	opened, err := client.Decrypt(ctx, request)
	check(err)
	if !bytes.Equal(opened.Plaintext, seed) {
		fail("another plaintext comes back")
	}
}

func sign(ctx context.Context, client jwt.ExternalJWTSignerClient) {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:a:b"}`))
	signed, err := client.Sign(ctx, &jwt.SignJWTRequest{Claims: claims})
	check(err)
	raw, err := base64.RawURLEncoding.DecodeString(signed.Header)
	check(err)
	var header map[string]string
	check(json.Unmarshal(raw, &header))
	keys, err := client.FetchKeys(ctx, &jwt.FetchKeysRequest{})
	check(err)
	if keys.RefreshHintSeconds <= 0 || time.Since(keys.DataTimestamp.AsTime()) > time.Hour {
		fail("not keys that an API server takes")
	}
	for _, key := range keys.Keys {
		if key.KeyId == header["kid"] {
			verify(header, key.Key, []byte(signed.Header+"."+claims), signed.Signature)
			limits, err := client.Metadata(ctx, &jwt.MetadataRequest{})
			check(err)
			if limits.MaxTokenExpirationSeconds < 600 {
				fail("tokens that end too soon")
			}
			return
		}
	}
	fail("the key that has signed is not told")
}

func verify(header map[string]string, der, text []byte, encoded string) {
	public, err := x509.ParsePKIXPublicKey(der)
	check(err)
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	check(err)
	digest := sha256.Sum256(text)
	good := false
	switch key := public.(type) {
	case *rsa.PublicKey:
		good = header["alg"] == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		good = header["alg"] == "ES256" && ecdsa.Verify(key, digest[:], r, s)
	}
	if header["typ"] != "JWT" || len(header) != 3 || !good {
		fail("not the signature of a token")
	}
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
