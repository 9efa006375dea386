// Command openbao_api exercises OpenBao's own Go library: what is written is read
// back, a token is renewed to its end, and errors are told as the library has them.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"clever-kms/tests/clients/checked"
	"github.com/openbao/openbao/api/v2"
)

const policy = `path "secret/data/app/*" { capabilities = ["read"] }`

func main() {
	ctx := context.Background()
	client, err := api.NewClient(api.DefaultConfig()) // address, token and namespace are those of the environment
	checked.Must(err, "a client")
	health, err := client.Sys().Health()
	checked.Must(err, "health")
	checked.That(health.Initialized && !health.Sealed, "the server is ready")
	secrets(ctx, client)
	unversioned(ctx, client)
	transit(client)
	wrapping(client)
	token := login(ctx, client)
	refusals(ctx, client, token)
	lifetime(client, token)
}

func secrets(ctx context.Context, client *api.Client) {
	kv := client.KVv2("secret")
	for _, password := range []string{"one", "two"} {
		_, err := kv.Put(ctx, "app/db", map[string]any{"password": password, "ports": []any{"1", "2"}})
		checked.Must(err, "a put")
	}
	secret, err := kv.Get(ctx, "app/db")
	checked.Must(err, "a get")
	checked.Equal(secret.Data, map[string]any{"password": "two", "ports": []any{"1", "2"}}, "the newest version")
	checked.Equal(secret.VersionMetadata.Version, 2, "its number")
	first, err := kv.GetVersion(ctx, "app/db", 1)
	checked.Must(err, "the first version")
	checked.Equal(first.Data["password"], any("one"), "the first version")
	checked.Did("KV 2", "versions written and read back")

	_, err = kv.Put(ctx, "app/db", map[string]any{"password": "three"}, api.WithCheckAndSet(1))
	checked.Refused(err, "check-and-set parameter did not match the current version", "a put over another version")
	_, err = kv.Put(ctx, "app/db", map[string]any{"password": "three"}, api.WithCheckAndSet(2))
	checked.Must(err, "a put over the newest version")
	checked.Did("KV 2", "check-and-set")

	_, err = kv.Patch(ctx, "app/db", map[string]any{"user": "app"})
	checked.Must(err, "a patch")
	patched, err := kv.Get(ctx, "app/db")
	checked.Must(err, "what was patched")
	checked.Equal(patched.Data, map[string]any{"password": "three", "user": "app"}, "what was patched")
	_, err = kv.Rollback(ctx, "app/db", 1)
	checked.Must(err, "a rollback")
	again, err := kv.Get(ctx, "app/db")
	checked.Must(err, "what was rolled back")
	checked.Equal(again.Data["password"], any("one"), "what was rolled back")
	checked.Did("KV 2", "patch, rollback")

	checked.Must(kv.Delete(ctx, "app/db"), "a deletion")
	gone, err := kv.Get(ctx, "app/db")
	checked.Must(err, "a deleted version is told of")
	checked.That(gone.Data == nil && !gone.VersionMetadata.DeletionTime.IsZero(), "the version is deleted")
	checked.Must(kv.Undelete(ctx, "app/db", []int{5}), "an undeletion")
	checked.Must(kv.Destroy(ctx, "app/db", []int{1}), "a destruction")
	checked.Must(kv.PutMetadata(ctx, "app/db", api.KVMetadataPutInput{
		MaxVersions: 8, CustomMetadata: map[string]any{"owner": "team"},
	}), "metadata")
	metadata, err := kv.GetMetadata(ctx, "app/db")
	checked.Must(err, "metadata")
	checked.Equal(metadata.CustomMetadata, map[string]any{"owner": "team"}, "own metadata")
	checked.Equal(metadata.MaxVersions, 8, "the number of versions kept")
	checked.That(metadata.Versions["1"].Destroyed && !metadata.Versions["5"].Destroyed, "one version is destroyed")
	listed, err := client.Logical().List("secret/metadata/app")
	checked.Must(err, "a list")
	checked.Equal(listed.Data["keys"], any([]any{"db"}), "the list")
	_, err = kv.Get(ctx, "app/nothing")
	checked.That(errors.Is(err, api.ErrSecretNotFound), fmt.Sprintf("what is missing is told as such: %v", err))
	checked.Did("KV 2", "deletions, metadata, lists")
}

func unversioned(ctx context.Context, client *api.Client) {
	checked.Must(client.Sys().Mount("old", &api.MountInput{Type: "kv"}), "a mount")
	kv := client.KVv1("old")
	checked.Must(kv.Put(ctx, "creds", map[string]any{"password": "p"}), "a put")
	secret, err := kv.Get(ctx, "creds")
	checked.Must(err, "a get")
	checked.Equal(secret.Data, map[string]any{"password": "p"}, "the secret")
	checked.Must(kv.Delete(ctx, "creds"), "a deletion")
	_, err = kv.Get(ctx, "creds")
	checked.That(errors.Is(err, api.ErrSecretNotFound), fmt.Sprintf("what is missing is told as such: %v", err))
	mounts, err := client.Sys().ListMounts()
	checked.Must(err, "mounts")
	checked.Equal(mounts["old/"].Type, "kv", "the mount's type")
	checked.Must(client.Sys().Unmount("old"), "an unmounting")
	checked.Did("KV 1", "mounted, written, read, deleted, unmounted")
}

func transit(client *api.Client) {
	plaintext := base64.StdEncoding.EncodeToString([]byte("hello"))
	_, err := client.Logical().Write("transit/keys/orders", nil)
	checked.Must(err, "a key")
	encrypted, err := client.Logical().Write("transit/encrypt/orders", map[string]any{"plaintext": plaintext})
	checked.Must(err, "an encryption")
	decrypted, err := client.Logical().Write("transit/decrypt/orders", map[string]any{
		"ciphertext": encrypted.Data["ciphertext"],
	})
	checked.Must(err, "a decryption")
	checked.Equal(decrypted.Data["plaintext"], any(plaintext), "what was decrypted")
	_, err = client.Logical().Write("transit/decrypt/orders", map[string]any{"ciphertext": "vault:v1:AAAA"})
	checked.Refused(err, "Code: 400", "a ciphertext that is none")
	checked.Did("Transit", "encrypted and decrypted")
}

func wrapping(client *api.Client) {
	wrapping := loggedOut(client)
	wrapping.SetToken(client.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	wrapped, err := wrapping.Logical().Read("transit/keys/orders")
	checked.Must(err, "a wrapped answer")
	checked.That(wrapped.WrapInfo != nil && wrapped.WrapInfo.TTL == 60, "the answer is wrapped")
	unwrapped, err := client.Logical().Unwrap(wrapped.WrapInfo.Token)
	checked.Must(err, "an unwrapping")
	checked.Equal(unwrapped.Data["name"], any("orders"), "what was unwrapped")
	_, err = client.Logical().Unwrap(wrapped.WrapInfo.Token)
	checked.Refused(err, "Code: 400", "a second unwrapping")
	checked.Did("wrapping", "wrapped, unwrapped once")
}

func login(_ context.Context, client *api.Client) *api.Secret {
	roleID, secretID := appRole(client)
	token, err := loggedOut(client).Logical().Write("auth/approle/login", map[string]any{
		"role_id": roleID, "secret_id": secretID,
	})
	checked.Must(err, "a login")
	checked.Equal(token.Auth.LeaseDuration, 3, "the token's life")
	_, err = loggedOut(client).Logical().Write("auth/approle/login", map[string]any{
		"role_id": roleID, "secret_id": "wrong",
	})
	checked.Refused(err, "invalid role or secret ID", "a wrong secret id")
	checked.Did("AppRole", "logged in, a wrong secret id refused")
	return token
}

func appRole(client *api.Client) (roleID, secretID string) {
	checked.Must(client.Sys().PutPolicy("app", policy), "a policy")
	checked.Must(client.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}), "a method")
	_, err := client.Logical().Write("auth/approle/role/app", map[string]any{
		"token_policies": []string{"app"}, "token_ttl": "3s", "token_max_ttl": "6s",
	})
	checked.Must(err, "a role")
	id, err := client.Logical().Read("auth/approle/role/app/role-id")
	checked.Must(err, "its id")
	secret, err := client.Logical().Write("auth/approle/role/app/secret-id", nil)
	checked.Must(err, "a secret id")
	return id.Data["role_id"].(string), secret.Data["secret_id"].(string)
}

func loggedOut(client *api.Client) *api.Client {
	clone, err := client.Clone()
	checked.Must(err, "another client")
	if namespace := os.Getenv("BAO_NAMESPACE"); namespace != "" {
		clone.SetNamespace(namespace)
	}
	return clone
}

func refusals(ctx context.Context, client *api.Client, token *api.Secret) {
	bearer := loggedOut(client)
	bearer.SetToken(token.Auth.ClientToken)
	secret, err := bearer.KVv2("secret").Get(ctx, "app/db")
	checked.Must(err, "what the policy allows")
	checked.Equal(secret.Data["password"], any("one"), "what the policy allows")
	_, err = bearer.KVv2("secret").Put(ctx, "app/db", map[string]any{})
	var answer *api.ResponseError
	checked.That(errors.As(err, &answer) && answer.StatusCode == 403, fmt.Sprintf("what it does not allow is refused: %v", err))
	checked.Refused(err, "permission denied", "what it does not allow")
	checked.Did("policies", "allow and refuse")
}

// lifetime has the library renew the token for as long as the server lets it, which the library then tells.
func lifetime(client *api.Client, token *api.Secret) {
	watcher, err := client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: token})
	checked.Must(err, "a watcher")
	go watcher.Start()
	defer watcher.Stop()
	renewals := 0
	for patience := time.After(time.Minute); ; {
		select {
		case renewal := <-watcher.RenewCh():
			checked.Equal(renewal.Secret.Auth.ClientToken, token.Auth.ClientToken, "the token that was renewed")
			renewals++
		case err := <-watcher.DoneCh():
			checked.Must(err, "the end of the renewals")
			checked.That(renewals >= 2, fmt.Sprintf("the token was renewed more than once: %d", renewals))
			checked.Did("LifetimeWatcher", "a token renewed to its maximum")
			return
		case <-patience:
			checked.That(false, "the token comes to its end within a minute")
		}
	}
}
