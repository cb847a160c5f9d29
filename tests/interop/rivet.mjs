// zoomsim's webhooks and challenges against Zoom's own receiver, npm's @zoom/rivet.
//
// rivet verifies the signature over `JSON.stringify(JSON.parse(body))`, not over the raw bytes, so the bodies here are ones
// on which that is the same: no number that JavaScript prints in another way, no space between tokens.
//
// `cargo xtask test --interop` installs rivet, builds zoomsim and says by two variables where they are.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";

const { INTEROP_MODULES, INTEROP_ZOOMSIM } = process.env;
assert.ok(INTEROP_MODULES && INTEROP_ZOOMSIM, "run this by `cargo xtask test --interop`");
const { HttpReceiver, LogLevel } = createRequire(join(INTEROP_MODULES, "package.json"))("@zoom/rivet/meetings");

const SECRET = "a-secret-token-of-the-app";
const CLIENT_ID = "interop_client";

let zoomsim;
let control;
let receiver;
let received = [];

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}

async function ask(method, path, body) {
    const answer = await fetch(control + path, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text && JSON.parse(text);
}

before(async () => {
    const [port, mediaPort] = [await freePort(), await freePort()];
    control = `http://127.0.0.1:${port}/control`;
    zoomsim = spawn(INTEROP_ZOOMSIM, ["--port", port, "--media-port", mediaPort], {
        stdio: ["ignore", "ignore", "inherit"],
    });
    for (const deadline = Date.now() + 30_000; ; ) {
        const up = await fetch(`${control}/clock`).then((answer) => answer.ok, () => false);
        if (up) break;
        assert.ok(zoomsim.exitCode === null && Date.now() < deadline, "zoomsim does not come up");
        await new Promise((resolve) => setTimeout(resolve, 50));
    }

    receiver = new HttpReceiver({ webhooksSecretToken: SECRET, logLevel: LogLevel.ERROR });
    receiver.init({ eventEmitter: { emit: async (name, event) => received.push({ name, event }) } });
    const server = await receiver.start(0);
    const url = `http://127.0.0.1:${server.address().port}/zoom/events`;

    // Saving the subscription sends the challenge: it is saved only if zoomsim accepts rivet's answer to it.
    const app = await ask("POST", "/apps", {
        client_id: CLIENT_ID,
        subscriptions: [{ url, secret_token: SECRET }],
    });
    assert.equal(app.subscriptions.length, 1);
    await ask("POST", "/users", { id: "interop_user" });
});

beforeEach(() => {
    received = [];
});

after(async () => {
    zoomsim?.kill();
    await receiver?.stop();
});

/** Sends one event and gives its row of the webhook log. */
async function send(order) {
    const rows = await ask("POST", "/events", { client_id: CLIENT_ID, ...order });
    assert.equal(rows.length, 1);
    return rows[0];
}

test("rivet answers zoomsim's challenge as zoomsim expects", async () => {
    const [{ subscriptions }] = (await ask("GET", "/apps")).filter((app) => app.client_id === CLIENT_ID);
    const again = await ask("POST", `/subscriptions/${subscriptions[0].id}/validate`);
    assert.equal(again.enabled, true);
    assert.equal(again.failed_challenges, 0);
});

test("rivet accepts what zoomsim composes and signs", async () => {
    const row = await send({ event: "user.deactivated", user_id: "interop_user" });
    assert.equal(row.state, "delivered");
    assert.deepEqual(received, [{ name: "user.deactivated", event: JSON.parse(row.body) }]);
});

test("rivet accepts a body with characters beyond ASCII", async () => {
    const body = { event: "recording.renamed", event_ts: 1770000000000, payload: { topic: "Größe 👋 \"quoted\" \\ /" } };
    const row = await send({ event: body.event, body });
    assert.equal(row.state, "delivered");
    assert.deepEqual(received, [{ name: "recording.renamed", event: body }]);
});

for (const signature of ["tampered_body", "wrong_secret", "missing"]) {
    test(`rivet refuses a webhook with the signature fault ${signature}`, async () => {
        const row = await send({ event: "user.deactivated", user_id: "interop_user", signature });
        assert.equal(row.state, "refused");
        assert.deepEqual(row.attempts.map((attempt) => attempt.result), [{ status: 400 }]);
        assert.deepEqual(received, []);
    });
}
