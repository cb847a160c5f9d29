// zoomsim's webhooks, challenges and bot events against Zoom's own receivers, npm's @zoom/rivet.
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
const load = createRequire(join(INTEROP_MODULES, "package.json"));
const { HttpReceiver, LogLevel } = load("@zoom/rivet/meetings");
const { ChatbotClient, HttpReceiver: ChatbotReceiver } = load("@zoom/rivet/chatbot");

const SECRET = "a-secret-token-of-the-app";
const CLIENT_ID = "interop_client";

let zoomsim;
let control;
let receiver;
let received = [];
let chatbot;
let heard = [];

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
    await startChatbot(port);
});

beforeEach(() => {
    received = [];
    heard = [];
});

after(async () => {
    zoomsim?.kill();
    await chatbot?.receiver.stop();
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

const BOT_ID = "interop_bot";
const BOT_SECRET = "a-client-secret-of-the-bot";
const BOT_EVENTS = [
    "bot_installed",
    "bot_notification",
    "interactive_message_actions",
    "interactive_message_select",
    "interactive_message_editable",
    "interactive_message_fields_editable",
    "chat_message.submit",
    "team_chat.app_mention",
    "team_chat.channel_message_posted",
    "team_chat.link_shared",
    "app_deauthorized",
];

/** rivet's chatbot as receiver of an app's bot. Its answers go to zoomsim, by a token that this script gets for it. */
async function startChatbot(port) {
    const origin = `http://127.0.0.1:${port}`;
    const tokenStore = {
        async getLatestToken() {
            const answer = await fetch(`${origin}/oauth/token`, {
                method: "POST",
                headers: { authorization: `Basic ${Buffer.from(`${BOT_ID}:${BOT_SECRET}`).toString("base64")}` },
                body: new URLSearchParams({ grant_type: "client_credentials" }),
            });
            const { access_token, expires_in, scope } = await answer.json();
            const expirationTimeIso = new Date(Date.now() + expires_in * 1000).toISOString();
            return { accessToken: access_token, expirationTimeIso, scopes: scope.split(" ") };
        },
        storeToken() {},
    };
    const options = { webhooksSecretToken: SECRET, logLevel: LogLevel.ERROR, endpoints: "/zoom/bot", port: 0 };
    chatbot = new ChatbotClient({
        clientId: BOT_ID,
        clientSecret: BOT_SECRET,
        receiver: new ChatbotReceiver(options),
        tokenStore,
        baseUrl: `${origin}/v2`,
    });
    const { webEventConsumer } = chatbot;
    for (const name of BOT_EVENTS) webEventConsumer.event(name, (event) => void heard.push(event));
    webEventConsumer.onSlashCommand("hello", async ({ say, payload }) => {
        await say(`Hello, ${payload.userName}`);
    });
    webEventConsumer.onButtonClick("add", async ({ say }) => {
        await say({ head: { text: "Added" } });
    });
    const server = await chatbot.start();
    await ask("POST", "/apps", {
        client_id: BOT_ID,
        client_secret: BOT_SECRET,
        name: "Interop",
        usage: "admin_managed",
        bot: {
            url: `http://127.0.0.1:${server.address().port}/zoom/bot`,
            secret_token: SECRET,
            robot_jid: "v1interop@xmpp.zoom.us",
            slash_command: "interop",
            hears_messages: true,
            unfurl_domains: ["a.example"],
        },
    });
    await ask("POST", "/channels", { id: "interopchannel", name: "Interop", member_ids: ["interop_user"] });
    await ask("POST", `/apps/${BOT_ID}/bot/install`, { user_id: "interop_user" });
    assert.deepEqual(heard.map(({ event }) => event), ["bot_installed"]);
    assert.equal(heard[0].payload.robotJid, "v1interop@xmpp.zoom.us");
}

const sayInChannel = (text) =>
    ask("POST", "/chat/say", { user_id: "interop_user", to: { channel: "interopchannel" }, text });

const cards = async () =>
    (await ask("GET", "/chat/messages?channel=interopchannel")).filter((message) => message.content);

test("rivet's chatbot answers zoomsim's challenge of a bot's endpoint", async () => {
    const [{ bot }] = (await ask("GET", "/apps")).filter((app) => app.client_id === BOT_ID);
    const again = await ask("POST", `/subscriptions/${bot.endpoint.id}/validate`);
    assert.equal(again.failed_challenges, 0);
});

test("rivet's chatbot hears a slash command and its answer is a card in zoomsim's channel", async () => {
    const before = (await cards()).length;
    const { deliveries } = await sayInChannel("/interop hello");
    assert.deepEqual(deliveries.map((row) => row.state), ["delivered"]);
    assert.equal(heard[0].event, "bot_notification");
    assert.equal(heard[0].payload.cmd, "hello");
    assert.equal(heard[0].payload.toJid, "interopchannel@conference.xmpp.zoom.us");
    const answers = (await cards()).slice(before);
    assert.deepEqual(answers.map(({ content }) => content.body[0].text), [`Hello, ${heard[0].payload.userName}`]);
});

test("rivet's chatbot hears the buttons, selects and edits of its own card", async () => {
    const { data } = await chatbot.endpoints.messages.sendChatbotMessage({
        body: {
            robot_jid: "v1interop@xmpp.zoom.us",
            to_jid: "interopchannel@conference.xmpp.zoom.us",
            account_id: (await ask("GET", "/users/interop_user")).account_id,
            user_jid: "interop_user@xmpp.zoom.us",
            content: {
                head: { text: "A card – größer" },
                body: [
                    { type: "actions", items: [{ text: "Add", value: "add", style: "Primary" }] },
                    { type: "select", text: "Pick", select_items: [{ text: "A", value: "a" }] },
                    { type: "message", text: "old", editable: true },
                    { type: "fields", items: [{ key: "Title", value: "x", editable: true }] },
                ],
            },
        },
    });
    const act = (body) => ask("POST", `/chat/messages/${data.message_id}/act`, { user_id: "interop_user", ...body });
    await act({ act: "click", value: "add" });
    await act({ act: "select", value: "a" });
    await act({ act: "edit", text: "new" });
    await act({ act: "edit_field", key: "Title", value: "y" });
    await act({ act: "submit", items: [{ action_id: "q", value: "1" }] });
    const told = Object.fromEntries(heard.map(({ event, payload }) => [event, payload]));
    assert.deepEqual(told.interactive_message_actions.actionItem, { text: "Add", value: "add" });
    assert.equal(told.interactive_message_actions.original.head.text, "A card – größer");
    assert.deepEqual(told.interactive_message_select.selectedItems, [{ value: "a" }]);
    assert.deepEqual(told.interactive_message_editable.editItem, { origin: "old", target: "new" });
    const item = { currentValue: "x", key: "Title", newValue: "y" };
    assert.deepEqual(told.interactive_message_fields_editable.fieldEditItem, item);
    assert.deepEqual(told["chat_message.submit"].object.submit_items, [{ action_id: "q", value: "1" }]);
    const clicked = heard.find(({ event }) => event === "interactive_message_actions");
    assert.match(clicked.callback_url, /\/v2\/im\/chat\/callback\//);
    assert.equal((await cards()).at(-1).content.head.text, "Added");
});

test("rivet's chatbot hears mentions, messages and links, and the uninstall", async () => {
    await ask("POST", `/apps/${BOT_ID}/bot/mention`, {
        user_id: "interop_user",
        channel_id: "interopchannel",
        text: "see https://a.example/1",
    });
    assert.deepEqual(heard.map(({ event }) => event).sort(), [
        "team_chat.app_mention",
        "team_chat.channel_message_posted",
        "team_chat.link_shared",
    ]);
    const shared = heard.find(({ event }) => event === "team_chat.link_shared");
    assert.equal(shared.payload.object.link, "https://a.example/1");
    heard = [];
    const rows = await ask("POST", `/apps/${BOT_ID}/bot/uninstall`, { user_id: "interop_user" });
    assert.deepEqual(rows.map((row) => row.state), ["delivered"]);
    assert.deepEqual(heard.map(({ event }) => event), ["app_deauthorized"]);
});
