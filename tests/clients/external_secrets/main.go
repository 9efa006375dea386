// Command external_secrets has the provider of the External Secrets operator do what its resources ask for: its own
// code logs in, reads, finds, pushes and deletes. The Kubernetes cluster that it looks into is one of this program.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"clever-kms/tests/clients/checked"
	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	esmeta "github.com/external-secrets/external-secrets/apis/meta/v1"
	provider "github.com/external-secrets/external-secrets/pkg/provider/vault"
	"github.com/hashicorp/vault/api"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	kube "sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	namespace = "prod"
	policy    = `
path "secret/data/app/*" { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/app/*" { capabilities = ["create", "read", "update", "delete", "list"] }`
)

func main() {
	ctx := context.Background()
	client, err := api.NewClient(api.DefaultConfig()) // address, token and namespace are those of the environment
	checked.Must(err, "a client")
	checked.Must(os.Unsetenv("VAULT_TOKEN"), "a variable") // the operator would not log in, but use it
	checked.Must(client.Sys().PutPolicy("app", policy), "a policy")
	for name, data := range map[string]map[string]any{
		"app/db":    {"user": "app", "password": "my-long-passcode", "hosts": map[string]any{"first": "one"}},
		"app/cache": {"password": "another"},
		"other":     {"password": "of others"},
	} {
		_, err := client.KVv2("secret").Put(ctx, name, data)
		checked.Must(err, "a put")
	}
	cluster := newCluster()
	defer cluster.server.Close()
	byToken(ctx, client, cluster)
	byAppRole(ctx, client, cluster)
	byServiceAccount(ctx, client, cluster)
}

// byToken uses the token of the environment.
func byToken(ctx context.Context, client *api.Client, cluster *cluster) {
	cluster.secrets["token"] = map[string]string{"token": client.Token()}
	store := storeOf(client, &esv1.VaultAuth{TokenSecretRef: &esmeta.SecretKeySelector{Name: "token", Key: "token"}})
	secrets := opened(ctx, store, cluster)
	state, err := secrets.Validate()
	checked.Must(err, "a validation")
	checked.Equal(state, esv1.ValidationResultReady, "the store")
	read(ctx, client, secrets)
	find(ctx, secrets)
	push(ctx, client, secrets)
	checked.Must(secrets.Close(ctx), "a close")
	_, err = client.Auth().Token().LookupSelf()
	checked.Must(err, "the token is left as it is")
}

func read(ctx context.Context, client *api.Client, secrets esv1.SecretsClient) {
	get := func(ref esv1.ExternalSecretDataRemoteRef) string {
		value, err := secrets.GetSecret(ctx, ref)
		checked.Must(err, "a secret")
		return string(value)
	}
	checked.Equal(get(esv1.ExternalSecretDataRemoteRef{Key: "app/db", Property: "password"}), "my-long-passcode", "a property")
	checked.Equal(get(esv1.ExternalSecretDataRemoteRef{Key: "app/db", Property: "hosts.first"}), "one", "one below another")
	whole, err := secrets.GetSecretMap(ctx, esv1.ExternalSecretDataRemoteRef{Key: "app/cache"})
	checked.Must(err, "a whole secret")
	checked.Equal(whole, map[string][]byte{"password": []byte("another")}, "a whole secret")
	_, err = client.KVv2("secret").Put(ctx, "app/cache", map[string]any{"password": "the second"})
	checked.Must(err, "a put")
	checked.Equal(get(esv1.ExternalSecretDataRemoteRef{Key: "app/cache", Property: "password"}), "the second", "the newest")
	checked.Equal(
		get(esv1.ExternalSecretDataRemoteRef{Key: "app/cache", Property: "password", Version: "1"}), "another", "the first",
	)
	_, err = secrets.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: "app/nothing"})
	checked.Equal(err, error(esv1.NoSecretErr), "what is not there")
	checked.Did("KV 2", "read by key, property and version")
}

func find(ctx context.Context, secrets esv1.SecretsClient) {
	path := "app"
	found, err := secrets.GetAllSecrets(ctx, esv1.ExternalSecretFind{
		Path: &path, Name: &esv1.FindName{RegExp: "^app/d.*"},
	})
	checked.Must(err, "a find by name")
	checked.Equal(len(found), 1, "those of the name")
	checked.That(len(found["app/db"]) > 0, "the one of the name")
	checked.Did("KV 2", "found by a pattern of names")
}

// reference is a place that something is pushed to.
type reference struct{ key, property string }

func (r reference) GetMetadata() *apiextensionsv1.JSON { return nil }
func (r reference) GetSecretKey() string               { return "password" }
func (r reference) GetRemoteKey() string               { return r.key }
func (r reference) GetProperty() string                { return r.property }

func push(ctx context.Context, client *api.Client, secrets esv1.SecretsClient) {
	place := reference{"app/pushed", "password"}
	for _, text := range []string{"one", "two", "two"} {
		secret := &corev1.Secret{Data: map[string][]byte{"password": []byte(text)}}
		checked.Must(secrets.PushSecret(ctx, secret, place), "a push")
	}
	pushed, err := client.KVv2("secret").Get(ctx, "app/pushed")
	checked.Must(err, "what was pushed")
	checked.Equal(pushed.Data, map[string]any{"password": "two"}, "what was pushed")
	checked.Equal(pushed.VersionMetadata.Version, 2, "what is there already is not written again")
	checked.Equal(pushed.CustomMetadata, map[string]any{"managed-by": "external-secrets"}, "whose it is")
	there, err := secrets.SecretExists(ctx, place)
	checked.Must(err, "whether it is there")
	checked.That(there, "it is there")
	secret := &corev1.Secret{Data: map[string][]byte{"password": []byte("mine")}}
	err = secrets.PushSecret(ctx, secret, reference{"app/db", "password"})
	checked.Refused(err, "secret not managed by external-secrets", "a push over what is another's")
	tagged, err := secrets.GetAllSecrets(ctx, esv1.ExternalSecretFind{Tags: map[string]string{"managed-by": "external-secrets"}})
	checked.Must(err, "a find by tags")
	checked.Equal(len(tagged), 1, "those of the tag")
	checked.Must(secrets.DeleteSecret(ctx, place), "a deletion")
	_, err = client.KVv2("secret").Get(ctx, "app/pushed")
	checked.Refused(err, "secret not found", "what was deleted")
	checked.Did("KV 2", "pushed, found by its metadata, deleted; what is another's left alone")
}

// byAppRole logs in, and revokes the token in the end.
func byAppRole(ctx context.Context, client *api.Client, cluster *cluster) {
	checked.Must(client.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}), "approle")
	write := func(path string, data map[string]any) *api.Secret {
		secret, err := client.Logical().WriteWithContext(ctx, path, data)
		checked.Must(err, path)
		return secret
	}
	write("auth/approle/role/app", map[string]any{"token_policies": "app"})
	role, err := client.Logical().Read("auth/approle/role/app/role-id")
	checked.Must(err, "an id of a role")
	made := write("auth/approle/role/app/secret-id", nil)
	cluster.secrets["approle"] = map[string]string{"secret-id": made.Data["secret_id"].(string)}
	store := storeOf(client, &esv1.VaultAuth{AppRole: &esv1.VaultAppRole{
		Path: "approle", RoleID: role.Data["role_id"].(string),
		SecretRef: esmeta.SecretKeySelector{Name: "approle", Key: "secret-id"},
	}})
	checked.Must(loggedIn(ctx, store, cluster), "a login by AppRole")
	checked.Did("AppRole", "logged in, the token revoked")
}

// byServiceAccount logs in by a token that the cluster makes for a service account.
func byServiceAccount(ctx context.Context, client *api.Client, cluster *cluster) {
	checked.Must(client.Sys().EnableAuthWithOptions("cluster-a", &api.EnableAuthOptions{Type: "kubernetes"}), "kubernetes")
	_, err := client.Logical().Write("auth/cluster-a/config", map[string]any{"pem_keys": []string{cluster.publicKey()}})
	checked.Must(err, "a configuration")
	_, err = client.Logical().Write("auth/cluster-a/role/app", map[string]any{
		"bound_service_account_names": "app", "bound_service_account_namespaces": namespace,
		"audience": "kms", "token_policies": "app", "token_ttl": "20m",
	})
	checked.Must(err, "a role")
	of := func(account string) *esv1.SecretStore {
		return storeOf(client, &esv1.VaultAuth{Kubernetes: &esv1.VaultKubernetesAuth{
			Path: "cluster-a", Role: "app",
			ServiceAccountRef: &esmeta.ServiceAccountSelector{Name: account, Audiences: []string{"kms"}},
		}})
	}
	checked.Must(loggedIn(ctx, of("app"), cluster), "a login by a service account")
	err = loggedIn(ctx, of("other"), cluster)
	checked.Refused(err, "service account name not authorized", "another account")
	checked.Did("Kubernetes", "logged in by the token of a service account, the token revoked; another account refused")
}

// loggedIn logs in by a store, uses what its policy allows and no more, and closes it.
func loggedIn(ctx context.Context, store *esv1.SecretStore, cluster *cluster) error {
	secrets, err := (&provider.Provider{NewVaultClient: provider.NewVaultClient}).NewClient(ctx, store, cluster, namespace)
	if err != nil {
		return err
	}
	value, err := secrets.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: "app/db", Property: "user"})
	checked.Must(err, "what the policy allows")
	checked.Equal(string(value), "app", "what the policy allows")
	_, err = secrets.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: "other"})
	checked.Refused(err, "permission denied", "what it does not allow")
	checked.Must(secrets.Close(ctx), "a close")
	_, err = secrets.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: "app/db"})
	checked.Refused(err, "permission denied", "a use after the close")
	return nil
}

func storeOf(client *api.Client, auth *esv1.VaultAuth) *esv1.SecretStore {
	path, vault := "secret", client.Namespace()
	return &esv1.SecretStore{
		TypeMeta:   metav1.TypeMeta{Kind: "SecretStore"},
		ObjectMeta: metav1.ObjectMeta{Name: "kms", Namespace: namespace},
		Spec: esv1.SecretStoreSpec{Provider: &esv1.SecretStoreProvider{Vault: &esv1.VaultProvider{
			Server: client.Address(), Namespace: &vault, Path: &path, Version: esv1.VaultKVStoreV2, Auth: auth,
		}}},
	}
}

func opened(ctx context.Context, store *esv1.SecretStore, cluster *cluster) esv1.SecretsClient {
	secrets, err := (&provider.Provider{NewVaultClient: provider.NewVaultClient}).NewClient(ctx, store, cluster, namespace)
	checked.Must(err, "a client of the store")
	return secrets
}

// cluster has what the operator asks a Kubernetes cluster for: secrets, and tokens of service accounts.
type cluster struct {
	kube.Client
	secrets map[string]map[string]string
	key     *ecdsa.PrivateKey
	server  *httptest.Server
}

func newCluster() *cluster {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	checked.Must(err, "a key")
	made := &cluster{secrets: map[string]map[string]string{}, key: key}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /api/v1/namespaces/"+namespace+"/serviceaccounts/{name}/token", made.makeToken)
	made.server = httptest.NewServer(routes)
	file, err := os.CreateTemp("", "kubeconfig")
	checked.Must(err, "a file")
	fmt.Fprintf(file, `{"apiVersion": "v1", "kind": "Config", "current-context": "a",
"clusters": [{"name": "a", "cluster": {"server": %q}}], "contexts": [{"name": "a", "context": {"cluster": "a"}}]}`,
		made.server.URL)
	checked.Must(file.Close(), "a file")
	checked.Must(os.Setenv("KUBECONFIG", file.Name()), "a variable")
	return made
}

// Get returns a secret.
func (c *cluster) Get(_ context.Context, key kube.ObjectKey, object kube.Object, _ ...kube.GetOption) error {
	secret, isSecret := object.(*corev1.Secret)
	found, there := c.secrets[key.Name]
	if !isSecret || !there || key.Namespace != namespace {
		return fmt.Errorf("%s is not there", key)
	}
	secret.Data = map[string][]byte{}
	for name, value := range found {
		secret.Data[name] = []byte(value)
	}
	return nil
}

func (c *cluster) makeToken(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	checked.Must(err, "a request")
	var asked authenticationv1.TokenRequest
	_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, &asked)
	checked.Must(err, "a request")
	asked.TypeMeta = metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"}
	name, now := request.PathValue("name"), time.Now().Unix()
	asked.Status.Token = c.signed(map[string]any{
		"iss": "https://kubernetes.default.svc", "aud": asked.Spec.Audiences,
		"sub": "system:serviceaccount:" + namespace + ":" + name,
		"iat": now, "nbf": now, "exp": now + *asked.Spec.ExpirationSeconds,
		"kubernetes.io": map[string]any{
			"namespace": namespace, "serviceaccount": map[string]any{"name": name, "uid": "uid-of-" + name},
		},
	})
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(http.StatusCreated)
	checked.Must(json.NewEncoder(answer).Encode(asked), "an answer")
}

func (c *cluster) signed(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	checked.Must(err, "claims")
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, c.key, digest[:])
	checked.Must(err, "a signature")
	pair := make([]byte, 64)
	r.FillBytes(pair[:32])
	s.FillBytes(pair[32:])
	return text + "." + encode(pair)
}

func (c *cluster) publicKey() string {
	der, err := x509.MarshalPKIXPublicKey(&c.key.PublicKey)
	checked.Must(err, "a public key")
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
