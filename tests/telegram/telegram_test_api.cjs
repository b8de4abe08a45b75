// Serves npm's telegram-test-api, a fake Telegram that none of us wrote.
//
// Conversations, their store, the side of the players and the posting of webhooks are the
// package's. This file mends what it answers in a form that python-telegram-bot refuses, and adds
// the few things of the Bot API that it lacks.
//
// Usage: node telegram_test_api.cjs FOLDER_WITH_NODE_MODULES PORT
"use strict";

const { createRequire } = require("node:module");

const [folder, port] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const TelegramServer = load("telegram-test-api");
const axios = load("axios");
const busboy = load("busboy");
const express = load("express");

const SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token";
const ADDED = { setMyCommands: true, leaveChat: true, sendChatAction: true };

const fake = new TelegramServer({ port: Number(port), host: "127.0.0.1", storeTimeout: 600 });
const front = express();
front.use(express.json(), express.urlencoded({ extended: true }));

/** A message as the Bot API describes it; the package echoes what the bot sent, dates in ms. */
function message(sent) {
  const { message_id, chat, date, text, caption, document, reply_markup } = sent;
  const from = { id: 666, is_bot: true, first_name: "Bot" };
  const seconds = Math.floor(date / 1000);
  return { message_id, from, chat, date: seconds, text, caption, document, reply_markup };
}

function mended(method, result) {
  switch (method) {
    case "getMe":
      return { ...result, is_bot: true };
    case "sendMessage":
      return message(result);
    case "getUpdates":
      return result.map((update) => update.callback_query
        ? { ...update, callback_query: { ...update.callback_query, chat_instance: "1" } }
        : update);
    default:
      return result ?? true;
  }
}

front.all("/bot:token/:method", (request, response, next) => {
  const { method } = request.params;
  const json = response.json.bind(response);
  response.json = (body) => json(body.ok ? { ...body, result: mended(method, body.result) } : body);
  next();
});

// Long polling: the package answers at once, with nothing.
front.all("/bot:token/getUpdates", (request, _response, next) => {
  const { token } = request.params;
  const end = Date.now() + 1000 * Number(request.body.timeout ?? 0);
  const unread = () => fake.storage.userMessages.some((u) => u.botToken === token && !u.isRead);
  (function look() {
    if (unread() || request.socket.destroyed || Date.now() >= end) next();
    else setTimeout(look, 20);
  })();
});

front.post("/bot:token/sendDocument", (request, response) => {
  const fields = {};
  const form = busboy({ headers: request.headers });
  form.on("field", (name, value) => { fields[name] = value; });
  form.on("file", (_name, file, { filename, mimeType }) => {
    fields.document = { file_id: "1", file_unique_id: "1", file_name: filename, mime_type: mimeType };
    file.on("data", (part) => { fields.starts ??= part.subarray(0, 5).toString("latin1"); });
  });
  form.on("close", () => {
    response.json({ ok: true, result: message(fake.addBotMessage(fields, request.params.token)) });
  });
  request.pipe(form);
});

for (const [method, result] of Object.entries(ADDED)) {
  front.post(`/bot:token/${method}`, (_request, response) => response.json({ ok: true, result }));
}

// The package posts updates, but not the secret that the bot asked to be sent back.
axios.interceptors.request.use((config) => {
  const hook = Object.values(fake.webhooks).find(({ url }) => url === config.url);
  if (hook?.secret_token) config.headers[SECRET_HEADER] = hook.secret_token;
  return config;
});

front.use(fake.webServer);
fake.webServer = front;
fake.start().then(() => console.log("ready"));
