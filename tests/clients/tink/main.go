// Command tink exercises Tink's client of Vault: envelope encryption, whose data keys a Transit key wraps, and a keyset
// that lies encrypted by a Transit key.
package main

import (
	"bytes"
	"os"

	"clever-kms/tests/clients/checked"
	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

func main() {
	client, err := api.NewClient(api.DefaultConfig())
	checked.Must(err, "a client of the API")
	_, err = client.Logical().Write("transit/keys/master", nil)
	checked.Must(err, "a key")
	_, err = client.Logical().Write("transit/keys/per-user", map[string]any{"derived": true})
	checked.Must(err, "a key that others are derived of")

	master := remote(client, "transit/keys/master")
	direct(master, []byte("associated"))
	checked.Did("Transit", "encrypted and decrypted with associated data")
	direct(remote(client, "transit/keys/per-user", hcvault.WithLegacyContextParamater()), []byte("user 7"))
	checked.Did("Transit", "the same by derived keys, with the older parameter")
	envelope(master)
	encryptedKeyset(client, master)
	refusal(client, master)
}

func remote(client *api.Client, path string, options ...hcvault.AEADOption) tink.AEAD {
	kms, err := hcvault.NewClientWithAEADOptions("hcvault://vault", client.Logical(), options...)
	checked.Must(err, "a client of keys")
	found, err := kms.GetAEAD("hcvault://vault/" + path)
	checked.Must(err, "a key of the client")
	return found
}

func direct(key tink.AEAD, associated []byte) {
	ciphertext, err := key.Encrypt([]byte("hello"), associated)
	checked.Must(err, "an encryption")
	plaintext, err := key.Decrypt(ciphertext, associated)
	checked.Must(err, "a decryption")
	checked.Equal(string(plaintext), "hello", "what was decrypted")
	_, err = key.Decrypt(ciphertext, []byte("others"))
	checked.Refused(err, "Code: 400", "a decryption with other associated data")
}

func envelope(master tink.AEAD) {
	key := aead.NewKMSEnvelopeAEAD2(aead.AES256GCMKeyTemplate(), master)
	ciphertext, err := key.Encrypt(bytes.Repeat([]byte("x"), 100_000), []byte("file"))
	checked.Must(err, "an envelope")
	plaintext, err := key.Decrypt(ciphertext, []byte("file"))
	checked.Must(err, "an envelope that is opened")
	checked.Equal(plaintext, bytes.Repeat([]byte("x"), 100_000), "what was in the envelope")
	ciphertext[len(ciphertext)-1] ^= 1
	_, err = key.Decrypt(ciphertext, []byte("file"))
	checked.That(err != nil, "an envelope that was tampered with is not opened")
	checked.Did("envelopes", "sealed, opened, a tampered one refused")
}

func encryptedKeyset(client *api.Client, master tink.AEAD) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	checked.Must(err, "a keyset")
	var stored bytes.Buffer
	checked.Must(handle.Write(keyset.NewBinaryWriter(&stored), master), "a keyset that is written")
	_, err = client.Logical().Write("transit/keys/master/rotate", nil)
	checked.Must(err, "a rotation")
	again, err := keyset.Read(keyset.NewBinaryReader(&stored), master)
	checked.Must(err, "a keyset that is read")
	before, err := aead.New(handle)
	checked.Must(err, "its key")
	after, err := aead.New(again)
	checked.Must(err, "its key")
	ciphertext, err := before.Encrypt([]byte("hello"), nil)
	checked.Must(err, "an encryption by it")
	plaintext, err := after.Decrypt(ciphertext, nil)
	checked.Must(err, "a decryption by it")
	checked.Equal(string(plaintext), "hello", "what was decrypted")
	checked.Did("keysets", "written and read after a rotation of the key")
}

func refusal(client *api.Client, master tink.AEAD) {
	ciphertext, err := master.Encrypt([]byte("hello"), nil)
	checked.Must(err, "an encryption")
	_, err = remote(client, "transit/keys/per-user").Decrypt(ciphertext, nil)
	checked.Refused(err, "Code: 400", "a ciphertext of another key")
	stranger, err := client.Clone()
	checked.Must(err, "another client")
	stranger.SetToken("none")
	if namespace := os.Getenv("VAULT_NAMESPACE"); namespace != "" {
		stranger.SetNamespace(namespace)
	}
	_, err = remote(stranger, "transit/keys/master").Decrypt(ciphertext, nil)
	checked.Refused(err, "Code: 403", "a decryption without a token")
	checked.Did("Transit", "other keys and tokens refused")
}
