// Exercises node-vault, the client of Node.js: secrets, keys, policies, AppRole, and its own renewal of tokens.
'use strict';

const assert = require('node:assert/strict');
const vault = require('node-vault');

const did = (area, what) => console.log(`did: ${area}: ${what}`);
const base64 = (text) => Buffer.from(text).toString('base64');
const refusedWith = (status, text) => (error) => {
  assert.equal(error.response.statusCode, status);
  assert.match(error.message, text);
  return true;
};

async function state(client) {
  assert.equal((await client.health()).sealed, false);
  assert.equal((await client.status()).initialized, true);
  assert.ok((await client.mounts()).data['secret/']);
  const help = await client.help('secret/data/app');
  assert.ok(help.help.length > 0);
  did('state', 'health, seal status, mounts, help');
}

async function secrets(client) {
  const written = await client.write('secret/data/app/db', { data: { password: 'p', port: 5432 } });
  assert.equal(written.data.version, 1);
  await client.update('secret/data/app/db', { data: { user: 'app' } });
  const read = await client.read('secret/data/app/db');
  assert.deepEqual(read.data.data, { password: 'p', port: 5432, user: 'app' });
  assert.deepEqual((await client.list('secret/metadata/app')).data.keys, ['db']);
  const byQuery = vault({ token: client.token, namespace: client.namespace, noCustomHTTPVerbs: true });
  assert.deepEqual((await byQuery.list('secret/metadata/app')).data.keys, ['db']);
  await assert.rejects(
    client.write('secret/data/app/db', { data: {}, options: { cas: 0 } }),
    refusedWith(400, /check-and-set/),
  );
  await client.destroySecretVersions({ path: 'app/db', versions: [1] });
  await client.delete('secret/data/app/db');
  await assert.rejects(client.read('secret/data/app/db'), refusedWith(404, /./));
  const metadata = (await client.read('secret/metadata/app/db')).data;
  assert.equal(metadata.versions['1'].destroyed, true);
  assert.notEqual(metadata.versions['2'].deletion_time, '');
  did('KV 2', 'written, patched, read, listed by LIST and by GET, check-and-set, destroyed, deleted');
}

async function keys(client) {
  await client.transitCreateKey({ name: 'orders', type: 'aes256-gcm96' });
  const { ciphertext } = (await client.encryptData({ name: 'orders', plaintext: base64('hello') })).data;
  await client.write('transit/keys/orders/rotate', {});
  const rewrapped = (await client.rewrapData({ name: 'orders', ciphertext })).data.ciphertext;
  assert.match(rewrapped, /^vault:v2:/);
  const { plaintext } = (await client.decryptData({ name: 'orders', ciphertext: rewrapped })).data;
  assert.equal(plaintext, base64('hello'));
  assert.equal((await client.transitReadKey({ name: 'orders' })).data.latest_version, 2);
  assert.deepEqual((await client.transitListKeys()).data.keys, ['orders']);
  did('Transit', 'encrypted, rotated, rewrapped, decrypted, keys listed');
}

async function login(client) {
  await client.addPolicy({ name: 'app', policy: 'path "secret/data/app/*" { capabilities = ["create", "read"] }' });
  assert.match((await client.getPolicy({ name: 'app' })).data.rules, /secret\/data\/app/);
  await client.enableAuth({ mount_point: 'approle', type: 'approle', description: 'for programs' });
  assert.equal((await client.auths()).data['approle/'].type, 'approle');
  await client.addApproleRole({ role_name: 'app', policies: 'app', token_ttl: 3 });
  const { role_id } = (await client.getApproleRoleId({ role_name: 'app' })).data;
  const { secret_id } = (await client.getApproleRoleSecret({ role_name: 'app' })).data;
  const app = vault({ token: 'none', namespace: client.namespace });
  app.token = undefined;
  await assert.rejects(app.approleLogin({ role_id, secret_id: 'wrong' }), refusedWith(400, /invalid role or secret ID/));
  const { auth } = await app.approleLogin({ role_id, secret_id });
  assert.equal(app.token, auth.client_token);
  assert.equal(auth.lease_duration, 3);
  did('AppRole', 'logged in, a wrong secret id refused');
  await app.write('secret/data/app/web', { data: { a: 'b' } });
  assert.deepEqual((await app.read('secret/data/app/web')).data.data, { a: 'b' });
  await assert.rejects(app.write('secret/data/other', { data: {} }), refusedWith(403, /permission denied/));
  did('policies', 'written, read, allow and refuse');
  return app;
}

async function renewal(app) {
  let renewals = 0;
  const awake = setInterval(() => {}, 1000); // the library's own timer keeps no program running
  await new Promise((resolve, reject) => {
    app.on('token:renewed', () => ++renewals === 2 && resolve());
    app.on('token:error:renew', reject);
    app.on('token:expired', () => reject(new Error('the token came to its end')));
    app.startTokenRenewal();
  });
  clearInterval(awake);
  app.stopTokenRenewal();
  assert.ok((await app.tokenLookupSelf()).data.ttl > 0);
  await app.tokenRevokeSelf();
  await assert.rejects(app.tokenLookupSelf(), refusedWith(403, /permission denied/));
  did('tokens', 'renewed by the library in the background, looked up, revoked');
}

async function wrapping(client) {
  const { wrap_info } = await client.read('transit/keys/orders', { headers: { 'X-Vault-Wrap-TTL': '60s' } });
  const unwrapped = await client.unwrap({ token: wrap_info.token });
  assert.equal(unwrapped.data.name, 'orders');
  did('wrapping', 'wrapped, unwrapped');
}

async function main() {
  const client = vault();
  await state(client);
  await secrets(client);
  await keys(client);
  await wrapping(client);
  await renewal(await login(client));
}

process.exitCode = 1; // also of a program that ends because it waits for nothing any more
main().then(
  () => {
    process.exitCode = 0;
  },
  (error) => console.error(error),
);
