//! Exercises vaultrs, the Rust library: secrets, keys, AppRole, the renewal of a token, wrapping, errors.

use std::collections::HashMap;
use std::fmt::Debug;
use std::process::exit;

use vaultrs::api::auth::approle::requests::SetAppRoleRequest;
use vaultrs::api::kv2::requests::SetSecretRequestOptions;
use vaultrs::api::sys::requests::ReadPolicyRequest;
use vaultrs::api::transit::requests::CreateKeyRequest;
use vaultrs::api::transit::KeyType;
use vaultrs::auth::approle;
use vaultrs::client::{Client, VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::{kv2, sys, token, transit};

type Secret = HashMap<String, String>;

fn did(area: &str, what: &str) {
    println!("did: {area}: {what}");
}

fn equal<T: PartialEq + Debug>(found: T, expected: T, what: &str) {
    if found != expected {
        eprintln!("{what}: found {found:?}, expected {expected:?}");
        exit(1);
    }
}

fn must<T>(result: Result<T, ClientError>, doing: &str) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("{doing}: {error:?}");
        exit(1);
    })
}

fn refused<T>(result: Result<T, ClientError>, status: u16, text: &str, what: &str) {
    match result {
        Err(ClientError::APIError { code, errors })
            if code == status && errors.concat().contains(text) => {}
        Err(error) => {
            eprintln!("{what}: refused with {error:?}, not with {status} and {text:?}");
            exit(1);
        }
        Ok(_) => {
            eprintln!("{what}: was not refused");
            exit(1);
        }
    }
}

fn secret(pairs: &[(&str, &str)]) -> Secret {
    pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

/// A client as the environment has it; address and token are read by the library, the namespace is not.
fn client(token: Option<&str>) -> VaultClient {
    let mut settings = VaultClientSettingsBuilder::default();
    if let Ok(namespace) = std::env::var("VAULT_NAMESPACE") {
        settings.set_namespace(namespace);
    }
    if let Some(token) = token {
        settings.token(token);
    }
    must(
        VaultClient::new(settings.build().expect("settings")),
        "a client",
    )
}

async fn secrets(client: &VaultClient) {
    must(
        kv2::set(client, "secret", "app/db", &secret(&[("password", "one")])).await,
        "a write",
    );
    let written = must(
        kv2::set(client, "secret", "app/db", &secret(&[("password", "two")])).await,
        "a write",
    );
    equal(written.version, 2, "the version that was written");
    let newest: Secret = must(kv2::read(client, "secret", "app/db").await, "a read");
    equal(newest, secret(&[("password", "two")]), "the newest version");
    let first: Secret = must(
        kv2::read_version(client, "secret", "app/db", 1).await,
        "a read of a version",
    );
    equal(first, secret(&[("password", "one")]), "the first version");
    let over = SetSecretRequestOptions { cas: 1 };
    refused(
        kv2::set_with_options(client, "secret", "app/db", &secret(&[]), over).await,
        400,
        "check-and-set parameter did not match",
        "a write over another version",
    );
    equal(
        must(kv2::list(client, "secret", "app").await, "a list"),
        vec!["db".to_string()],
        "the list",
    );
    must(
        kv2::delete_latest(client, "secret", "app/db").await,
        "a deletion",
    );
    let gone: Result<Secret, ClientError> = kv2::read(client, "secret", "app/db").await;
    equal(gone.is_err(), true, "a deleted version is not read");
    must(
        kv2::undelete_versions(client, "secret", "app/db", vec![2]).await,
        "an undeletion",
    );
    must(
        kv2::destroy_versions(client, "secret", "app/db", vec![1]).await,
        "a destruction",
    );
    let metadata = must(
        kv2::read_metadata(client, "secret", "app/db").await,
        "metadata",
    );
    equal(
        metadata.versions["1"].destroyed,
        true,
        "the first version is destroyed",
    );
    equal(
        metadata.versions["2"].destroyed,
        false,
        "the second version is not",
    );
    did(
        "KV 2",
        "versions written and read, check-and-set, listed, deleted, restored, destroyed, metadata",
    );
}

async fn keys(client: &VaultClient) {
    let hello = "aGVsbG8=";
    must(
        transit::key::create(client, "transit", "orders", None).await,
        "a key",
    );
    let encrypted = must(
        transit::data::encrypt(client, "transit", "orders", hello, None).await,
        "an encryption",
    );
    must(
        transit::key::rotate(client, "transit", "orders").await,
        "a rotation",
    );
    let rewrapped = must(
        transit::data::rewrap(client, "transit", "orders", &encrypted.ciphertext, None).await,
        "a rewrapping",
    );
    equal(
        rewrapped.ciphertext.starts_with("vault:v2:"),
        true,
        "the newer version wraps",
    );
    let decrypted = must(
        transit::data::decrypt(client, "transit", "orders", &rewrapped.ciphertext, None).await,
        "a decryption",
    );
    equal(decrypted.plaintext.as_str(), hello, "what was decrypted");
    let mut kind = CreateKeyRequest::builder();
    kind.key_type(KeyType::Ed25519);
    must(
        transit::key::create(client, "transit", "signing", Some(&mut kind)).await,
        "a key that signs",
    );
    let signed = must(
        transit::data::sign(client, "transit", "signing", hello, None).await,
        "a signature",
    );
    let mut with = vaultrs::api::transit::requests::VerifySignedDataRequest::builder();
    with.signature(signed.signature);
    let verified = must(
        transit::data::verify(client, "transit", "signing", hello, Some(&mut with)).await,
        "a verification",
    );
    equal(verified.valid, true, "the signature");
    let forged = must(
        transit::data::verify(client, "transit", "signing", "b3RoZXI=", Some(&mut with)).await,
        "a verification",
    );
    equal(forged.valid, false, "the signature of something else");
    must(
        transit::key::read(client, "transit", "signing").await,
        "what is told of the key that signs",
    );
    must(
        transit::key::read(client, "transit", "orders").await,
        "what is told of the key that encrypts",
    );
    refused(
        transit::data::decrypt(client, "transit", "orders", "vault:v9:AAAA", None).await,
        400,
        "",
        "a ciphertext that is none",
    );
    did(
        "Transit",
        "encrypted, rotated, rewrapped, decrypted; signed, verified",
    );
}

async fn login(root: &VaultClient) {
    let policy = r#"path "secret/data/app/*" { capabilities = ["read"] }"#;
    must(sys::policy::set(root, "app", policy).await, "a policy");
    equal(
        must(
            sys::policy::read(root, "app").await,
            "a policy that is read",
        )
        .rules
        .as_str(),
        policy,
        "the policy",
    );
    must(
        sys::auth::enable(root, "approle", "approle", None).await,
        "a method",
    );
    let mut role = SetAppRoleRequest::builder();
    role.token_policies(vec!["app".to_string()])
        .token_ttl("60s");
    must(
        approle::role::set(root, "approle", "app", Some(&mut role)).await,
        "a role",
    );
    let role_id = must(
        approle::role::read_id(root, "approle", "app").await,
        "its id",
    )
    .role_id;
    let secret_id = must(
        approle::role::secret::generate(root, "approle", "app", None).await,
        "a secret id",
    )
    .secret_id;
    let mut app = client(Some(""));
    refused(
        approle::login(&app, "approle", &role_id, "wrong").await,
        400,
        "invalid role or secret ID",
        "a wrong secret id",
    );
    let auth = must(
        approle::login(&app, "approle", &role_id, &secret_id).await,
        "a login",
    );
    equal(auth.lease_duration, 60, "the token's life");
    app.set_token(&auth.client_token);
    let found: Secret = must(
        kv2::read(&app, "secret", "app/db").await,
        "what the policy allows",
    );
    equal(
        found,
        secret(&[("password", "two")]),
        "what the policy allows",
    );
    refused(
        kv2::set(&app, "secret", "app/db", &secret(&[])).await,
        403,
        "permission denied",
        "what the policy does not allow",
    );
    did(
        "AppRole",
        "logged in, a wrong secret id refused; a policy allows and refuses",
    );
    let renewed = must(app.renew(Some("1800")).await, "a renewal");
    equal(
        renewed.lease_duration,
        1800,
        "the life of the renewed token",
    );
    equal(
        must(app.lookup().await, "a lookup").ttl > 60,
        true,
        "it lives longer",
    );
    must(app.revoke().await, "a revocation");
    refused(
        token::lookup_self(&app).await,
        403,
        "permission denied",
        "a revoked token",
    );
    did("tokens", "looked up, renewed, revoked");
}

async fn wrapping(client: &VaultClient) {
    let endpoint = ReadPolicyRequest::builder()
        .name("app")
        .build()
        .expect("a request");
    let wrapped = must(
        vaultrs::api::wrap(client, endpoint).await,
        "a wrapped answer",
    );
    let policy = must(wrapped.unwrap(client).await, "an unwrapping");
    equal(policy.name.as_str(), "app", "what was unwrapped");
    equal(
        wrapped.unwrap(client).await.is_err(),
        true,
        "a second unwrapping is refused",
    );
    did("wrapping", "wrapped, unwrapped once");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let root = client(None);
    equal(
        matches!(
            must(root.status().await, "the status"),
            sys::ServerStatus::OK
        ),
        true,
        "the server is ready",
    );
    secrets(&root).await;
    keys(&root).await;
    login(&root).await;
    wrapping(&root).await;
}
