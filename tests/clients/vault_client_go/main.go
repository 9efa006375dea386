// Command vault_client_go exercises the Go library that is generated from the OpenAPI document of Vault, whose paths it
// escapes: a secret at team/app/db is asked for as team%2Fapp%2Fdb.
package main

import (
	"context"
	"encoding/base64"
	"os"

	"clever-kms/tests/clients/checked"
	"github.com/hashicorp/vault-client-go"
	"github.com/hashicorp/vault-client-go/schema"
)

func main() {
	ctx := context.Background()
	client, err := vault.New(vault.WithEnvironment())
	checked.Must(err, "a client")
	checked.Must(client.SetToken(checked.Given("VAULT_TOKEN")), "a token")
	if namespace := os.Getenv("VAULT_NAMESPACE"); namespace != "" {
		checked.Must(client.SetNamespace(namespace), "a namespace")
	}
	status, err := client.System.SealStatus(ctx)
	checked.Must(err, "the seal's status")
	checked.That(!status.Data.Sealed && status.Data.Initialized, "the server is ready")
	secrets(ctx, client)
	transit(ctx, client)
	wrapping(ctx, client)
	login(ctx, client)
}

func secrets(ctx context.Context, client *vault.Client) {
	at := vault.WithMountPath("secret")
	path := "team/app/db"
	_, err := client.Secrets.KvV2Write(ctx, path, schema.KvV2WriteRequest{Data: map[string]any{"password": "p"}}, at)
	checked.Must(err, "a write")
	read, err := client.Secrets.KvV2Read(ctx, path, at)
	checked.Must(err, "a read")
	checked.Equal(read.Data.Data, map[string]any{"password": "p"}, "the secret")
	plain, err := client.Read(ctx, "secret/data/team/app/db")
	checked.Must(err, "a read of the path as others write it")
	checked.Equal(plain.Data["data"], any(map[string]any{"password": "p"}), "the same secret")
	listed, err := client.Secrets.KvV2List(ctx, "team/app", at)
	checked.Must(err, "a list")
	checked.Equal(listed.Data.Keys, []string{"db"}, "the list")
	_, err = client.Secrets.KvV2Write(ctx, path, schema.KvV2WriteRequest{
		Data: map[string]any{"password": "q"}, Options: map[string]any{"cas": 7},
	}, at)
	checked.That(vault.IsErrorStatus(err, 400), "a write over another version is refused")
	checked.Refused(err, "check-and-set parameter did not match the current version", "a write over another version")
	_, err = client.Secrets.KvV2WriteMetadata(ctx, path, schema.KvV2WriteMetadataRequest{
		CustomMetadata: map[string]any{"owner": "team"},
	}, at)
	checked.Must(err, "metadata")
	metadata, err := client.Secrets.KvV2ReadMetadata(ctx, path, at)
	checked.Must(err, "metadata")
	checked.Equal(metadata.Data.CustomMetadata, map[string]any{"owner": "team"}, "own metadata")
	_, err = client.Secrets.KvV2Delete(ctx, path, at)
	checked.Must(err, "a deletion")
	_, err = client.Secrets.KvV2Read(ctx, path, at)
	checked.That(vault.IsErrorStatus(err, 404), "what is deleted is not read")
	checked.Did("KV 2", "written and read at team/app/db (sent as team%2Fapp%2Fdb), listed, check-and-set, metadata, deleted")
}

func transit(ctx context.Context, client *vault.Client) {
	plaintext := base64.StdEncoding.EncodeToString([]byte("hello"))
	_, err := client.Secrets.TransitCreateKey(ctx, "orders", schema.TransitCreateKeyRequest{Type: "ed25519"})
	checked.Must(err, "a key")
	signed, err := client.Secrets.TransitSign(ctx, "orders", schema.TransitSignRequest{Input: plaintext})
	checked.Must(err, "a signature")
	verified, err := client.Secrets.TransitVerify(ctx, "orders", schema.TransitVerifyRequest{
		Input: plaintext, Signature: signed.Data["signature"].(string),
	})
	checked.Must(err, "a verification")
	checked.Equal(verified.Data["valid"], any(true), "the signature")
	forged, err := client.Secrets.TransitVerify(ctx, "orders", schema.TransitVerifyRequest{
		Input: base64.StdEncoding.EncodeToString([]byte("other")), Signature: signed.Data["signature"].(string),
	})
	checked.Must(err, "a verification")
	checked.Equal(forged.Data["valid"], any(false), "the signature of something else")
	encrypted, err := client.Secrets.TransitEncrypt(ctx, "made", schema.TransitEncryptRequest{
		BatchInput: []map[string]any{{"plaintext": plaintext}, {"plaintext": ""}},
	})
	checked.Must(err, "a batch")
	batch := encrypted.Data["batch_results"].([]any)
	decrypted, err := client.Secrets.TransitDecrypt(ctx, "made", schema.TransitDecryptRequest{
		Ciphertext: batch[0].(map[string]any)["ciphertext"].(string),
	})
	checked.Must(err, "a decryption")
	checked.Equal(decrypted.Data["plaintext"], any(plaintext), "what was decrypted")
	checked.Did("Transit", "signed and verified, a batch encrypted and decrypted")
}

func wrapping(ctx context.Context, client *vault.Client) {
	wrapped, err := client.System.PoliciesReadAclPolicy(ctx, "default", vault.WithResponseWrapping(60e9))
	checked.Must(err, "a wrapped answer")
	policy, err := vault.Unwrap[map[string]any](ctx, client, wrapped.WrapInfo.Token)
	checked.Must(err, "an unwrapping")
	checked.Equal(policy.Data["name"], any("default"), "what was unwrapped")
	checked.Did("wrapping", "wrapped, unwrapped")
}

func login(ctx context.Context, client *vault.Client) {
	_, err := client.System.AuthEnableMethod(ctx, "approle", schema.AuthEnableMethodRequest{Type: "approle"})
	checked.Must(err, "a method")
	_, err = client.System.PoliciesWriteAclPolicy(ctx, "app", schema.PoliciesWriteAclPolicyRequest{
		Policy: `path "secret/data/team/*" { capabilities = ["create", "read"] }`,
	})
	checked.Must(err, "a policy")
	_, err = client.Auth.AppRoleWriteRole(ctx, "app", schema.AppRoleWriteRoleRequest{
		TokenPolicies: []string{"app"}, TokenTtl: "60s",
	})
	checked.Must(err, "a role")
	id, err := client.Auth.AppRoleReadRoleId(ctx, "app")
	checked.Must(err, "its id")
	// the library's own type of the answer wants secret_id_ttl to be a string, which no server sends
	secret, err := client.Write(ctx, "auth/approle/role/app/secret-id", map[string]any{})
	checked.Must(err, "a secret id")
	client.ClearToken()
	token, err := client.Auth.AppRoleLogin(ctx, schema.AppRoleLoginRequest{
		RoleId: id.Data.RoleId, SecretId: secret.Data["secret_id"].(string),
	})
	checked.Must(err, "a login")
	checked.Equal(token.Auth.LeaseDuration, 60, "the token's life")
	checked.Must(client.SetToken(token.Auth.ClientToken), "the token")
	at := vault.WithMountPath("secret")
	_, err = client.Secrets.KvV2Write(ctx, "team/web/key", schema.KvV2WriteRequest{Data: map[string]any{"a": "b"}}, at)
	checked.Must(err, "what the policy allows")
	_, err = client.Secrets.KvV2Write(ctx, "teams/web", schema.KvV2WriteRequest{Data: map[string]any{"a": "b"}}, at)
	checked.That(vault.IsErrorStatus(err, 403), "what it does not allow is refused")
	renewed, err := client.Auth.TokenRenewSelf(ctx, schema.TokenRenewSelfRequest{})
	checked.Must(err, "a renewal")
	checked.Equal(renewed.Auth.ClientToken, token.Auth.ClientToken, "the token that was renewed")
	_, err = client.Auth.TokenRevokeSelf(ctx)
	checked.Must(err, "a revocation")
	_, err = client.Auth.TokenLookUpSelf(ctx)
	checked.That(vault.IsErrorStatus(err, 403), "a revoked token is refused")
	checked.Did("AppRole", "logged in, allowed and refused by a policy, renewed, revoked")
}
