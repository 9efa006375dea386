import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.AppRoleAuthentication;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions.RoleId;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions.SecretId;
import org.springframework.vault.authentication.LifecycleAwareSessionManager;
import org.springframework.vault.authentication.LifecycleAwareSessionManagerSupport.FixedTimeoutRefreshTrigger;
import org.springframework.vault.authentication.SimpleSessionManager;
import org.springframework.vault.authentication.TokenAuthentication;
import org.springframework.vault.authentication.VaultLoginException;
import org.springframework.vault.authentication.event.AfterLoginTokenRenewedEvent;
import org.springframework.vault.authentication.event.AfterLoginTokenRevocationEvent;
import org.springframework.vault.client.RestTemplateBuilder;
import org.springframework.vault.client.VaultEndpoint;
import org.springframework.vault.core.VaultTemplate;
import org.springframework.vault.core.VaultKeyValueOperationsSupport.KeyValueBackend;
import org.springframework.vault.support.Ciphertext;
import org.springframework.vault.support.Plaintext;
import org.springframework.vault.support.Policy;
import org.springframework.vault.support.VaultMount;
import org.springframework.vault.support.VaultTransitContext;
import org.springframework.vault.support.VaultTransitKeyCreationRequest;
import org.springframework.vault.support.Versioned.Version;

/** Exercises spring-vault: secrets of both versions, keys, AppRole, sessions that renew themselves, wrapping, errors. */
class Main {

  record Database(String user, String password) {}

  static final Database DATABASE = new Database("app", "p");

  static void did(String area, String what) {
    System.out.printf("did: %s: %s%n", area, what);
  }

  static void equal(Object found, Object expected, String what) {
    if (!Objects.equals(found, expected)) {
      throw new IllegalStateException("%s: found %s, expected %s".formatted(what, found, expected));
    }
  }

  static void refused(Runnable call, String text, String what) {
    try {
      call.run();
    } catch (VaultException error) {
      if (!String.valueOf(error.getMessage()).contains(text)) {
        throw new IllegalStateException("%s: refused otherwise".formatted(what), error);
      }
      return;
    }
    throw new IllegalStateException("%s: was not refused".formatted(what));
  }

  static RestTemplateBuilder rest() {
    var builder =
        RestTemplateBuilder.builder()
            .endpoint(VaultEndpoint.from(URI.create(System.getenv("VAULT_ADDR"))))
            .requestFactory(new SimpleClientHttpRequestFactory());
    var namespace = System.getenv("VAULT_NAMESPACE");
    return namespace == null ? builder : builder.defaultHeader("X-Vault-Namespace", namespace);
  }

  static void state(VaultTemplate vault) {
    var health = vault.opsForSys().health();
    equal(health.isInitialized(), true, "the server is initialised");
    equal(health.isSealed(), false, "the server is unsealed");
    equal(vault.opsForSys().getMounts().get("secret/").getType(), "kv", "a mount");
    did("state", "health, mounts");
  }

  static void versioned(VaultTemplate vault) {
    var kv = vault.opsForVersionedKeyValue("secret");
    kv.put("app/db", new Database("app", "old"));
    equal(kv.put("app/db", DATABASE).getVersion(), Version.from(2), "the version that was written");
    equal(kv.get("app/db", Database.class).getRequiredData(), DATABASE, "the newest version");
    equal(kv.get("app/db", Version.from(1)).getRequiredData().toString(), "{password=old, user=app}", "the first version");
    equal(kv.list("app/"), List.of("db"), "the list");
    equal(kv.get("app/nothing"), null, "a secret that is not there");
    refused(
        () -> kv.put("app/db", org.springframework.vault.support.Versioned.create(Map.of("a", "b"), Version.from(1))),
        "check-and-set parameter did not match",
        "a write over another version");
    kv.delete("app/db");
    equal(kv.get("app/db").hasData(), false, "a deleted version has no data");
    kv.undelete("app/db", Version.from(2));
    kv.destroy("app/db", Version.from(1));
    equal(kv.get("app/db", Database.class).getRequiredData(), DATABASE, "what was restored");
    var versions = kv.opsForKeyValueMetadata().get("app/db").getVersions();
    equal(versions.stream().filter(version -> version.isDestroyed()).count(), 1L, "one version is destroyed");
    var patching = vault.opsForKeyValue("secret", KeyValueBackend.KV_2);
    equal(patching.patch("app/db", Map.of("port", 5432)), true, "a patch");
    equal(patching.get("app/db").getRequiredData().get("port"), 5432, "what was patched");
    did("KV 2", "objects written and read, versions, check-and-set, listed, deleted, restored, destroyed, patched");
  }

  static void unversioned(VaultTemplate vault) {
    vault.opsForSys().mount("old", VaultMount.builder().type("kv").options(Map.of("version", "1")).build());
    var kv = vault.opsForKeyValue("old", KeyValueBackend.KV_1);
    kv.put("db", DATABASE);
    equal(kv.get("db", Database.class).getRequiredData(), DATABASE, "what was written");
    kv.delete("db");
    equal(kv.get("db"), null, "what was deleted");
    vault.opsForSys().unmount("old");
    did("KV 1", "mounted, objects written and read, deleted, unmounted");
  }

  static void keys(VaultTemplate vault) {
    var transit = vault.opsForTransit();
    transit.createKey("orders");
    var ciphertext = transit.encrypt("orders", "hello");
    transit.rotate("orders");
    var rewrapped = transit.rewrap("orders", ciphertext);
    equal(rewrapped.startsWith("vault:v2:"), true, "the newer version wraps");
    equal(transit.decrypt("orders", rewrapped), "hello", "what was decrypted");
    equal(transit.getKey("orders").getLatestVersion(), 2, "the newest version");
    refused(() -> transit.decrypt("orders", "vault:v9:AAAA"), "", "a ciphertext that is none");
    var batch = transit.encrypt("orders", List.of(Plaintext.of("one"), Plaintext.of("two")));
    equal(transit.decrypt("orders", batch.get(1).get()).asString(), "two", "what was decrypted of a batch");
    var broken = List.of(batch.get(0).get(), Ciphertext.of("vault:v2:AAAA"));
    refused(() -> transit.decrypt("orders", broken), "batch_results", "a batch with an item that is no ciphertext");

    transit.createKey("users", VaultTransitKeyCreationRequest.builder().derived(true).convergentEncryption(true).build());
    var user = VaultTransitContext.fromContext("user 7".getBytes());
    var same = transit.encrypt("users", "hello".getBytes(), user);
    equal(transit.encrypt("users", "hello".getBytes(), user), same, "a convergent encryption");
    equal(new String(transit.decrypt("users", same, user)), "hello", "what was decrypted with a context");

    transit.createKey("signing", VaultTransitKeyCreationRequest.ofKeyType("ecdsa-p256"));
    var signature = transit.sign("signing", Plaintext.of("hello"));
    equal(transit.verify("signing", Plaintext.of("hello"), signature), true, "the signature");
    equal(transit.verify("signing", Plaintext.of("other"), signature), false, "the signature of something else");
    equal(transit.getHmac("orders", Plaintext.of("hello")).getHmac().startsWith("vault:v2:"), true, "the HMAC");
    equal(transit.getKeys(), List.of("orders", "signing", "users"), "the keys");
    did("Transit", "encrypted, rotated, rewrapped, decrypted, batches, contexts, convergent; signed, verified, HMAC");
  }

  /** Logs in by AppRole, has the session renew its token several times, and revokes it at the end. */
  static void session(VaultTemplate root) throws Exception {
    root.opsForSys()
        .createOrUpdatePolicy(
            "app",
            Policy.of(Policy.Rule.builder().path("secret/data/app/*").capability(Policy.BuiltinCapabilities.READ).build()));
    root.opsForSys().authMount("approle", VaultMount.create("approle"));
    root.write("auth/approle/role/app", Map.of("token_policies", "app", "token_ttl", "6s", "token_max_ttl", "1h"));
    var roleId = RoleId.provided((String) root.read("auth/approle/role/app/role-id").getRequiredData().get("role_id"));
    var secretId = (String) root.write("auth/approle/role/app/secret-id", Map.of()).getRequiredData().get("secret_id");

    var wrong = AppRoleAuthenticationOptions.builder().roleId(roleId).secretId(SecretId.provided("wrong")).build();
    try {
      new AppRoleAuthentication(wrong, rest().build()).login();
      throw new IllegalStateException("a wrong secret id was not refused");
    } catch (VaultLoginException error) {
      equal(String.valueOf(error.getMessage()).contains("invalid role or secret ID"), true, "what is told of it");
    }
    var options = AppRoleAuthenticationOptions.builder().roleId(roleId).secretId(SecretId.provided(secretId)).build();
    var scheduler = new ThreadPoolTaskScheduler();
    scheduler.setDaemon(true);
    scheduler.initialize();
    var manager =
        new LifecycleAwareSessionManager(
            new AppRoleAuthentication(options, rest().build()),
            scheduler,
            rest().build(),
            new FixedTimeoutRefreshTrigger(2, TimeUnit.SECONDS));
    var renewals = new CountDownLatch(2);
    var revocations = new CountDownLatch(1);
    manager.addAuthenticationListener(
        event -> {
          if (event instanceof AfterLoginTokenRenewedEvent) renewals.countDown();
          if (event instanceof AfterLoginTokenRevocationEvent) revocations.countDown();
        });
    var app = new VaultTemplate(rest(), manager);
    var found = app.opsForVersionedKeyValue("secret").get("app/db");
    equal(found.getRequiredData().get("password"), "p", "what the policy allows");
    refused(
        () -> app.opsForVersionedKeyValue("secret").put("app/db", Map.of()),
        "permission denied",
        "what the policy does not allow");
    did("AppRole", "logged in, a wrong secret id refused; a policy allows and refuses");
    var token = manager.getSessionToken();
    equal(renewals.await(1, TimeUnit.MINUTES), true, "the session renews its token");
    equal(manager.getSessionToken(), token, "it keeps its token");
    manager.destroy();
    equal(revocations.await(0, TimeUnit.SECONDS), true, "the session revokes its token");
    var after = new VaultTemplate(rest(), new SimpleSessionManager(new TokenAuthentication(token)));
    refused(() -> after.opsForVersionedKeyValue("secret").get("app/db"), "permission denied", "the revoked token");
    scheduler.shutdown();
    did("sessions", "looked up, renewed in the background, revoked at the end");
  }

  static void wrapping(VaultTemplate vault) {
    var wrapping = vault.opsForWrapping();
    var wrapped = wrapping.wrap(DATABASE, Duration.ofMinutes(1));
    equal(wrapping.lookup(wrapped.getToken()).getTtl(), Duration.ofMinutes(1), "its time to live");
    equal(wrapped.getCreationTime().isBefore(Instant.now().plusSeconds(5)), true, "when it was made");
    equal(wrapping.read(wrapped.getToken(), Database.class).getRequiredData(), DATABASE, "what was unwrapped");
    equal(wrapping.read(wrapped.getToken()), null, "what is unwrapped twice");
    did("wrapping", "an object wrapped, looked up, unwrapped once");
  }

  public static void main(String[] arguments) throws Exception {
    var token = new TokenAuthentication(System.getenv("VAULT_TOKEN"));
    var vault = new VaultTemplate(rest(), new SimpleSessionManager(token));
    state(vault);
    versioned(vault);
    unversioned(vault);
    keys(vault);
    session(vault);
    wrapping(vault);
  }
}
