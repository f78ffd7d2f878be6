// A receiver: stores each event once, answers at once, works afterwards. Node 18 and its own modules,
// with verify.mjs beside it; to run behind a proxy that terminates TLS.
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { verify } from "./verify.mjs";

const token = process.env.WEBHOOK_TOKEN; // as it is set in RecordEngine
const secret = process.env.WEBHOOK_SECRET; // whsec_...
const folder = process.env.FOLDER ?? "events";
const largest = 64 << 20; // bytes of a body

// Your part. It may take long and may fail: it is called again, at the next start.
async function work(event) {
  console.log("working on", event.event);
}

// The bytes as they arrived. Node reads chunks by itself.
async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    if ((size += part.length) > largest) throw new RangeError("too many bytes");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

// Keeps an event in a file of its own, named after its webhook-id, unless it is there already. When
// this returns, it is on disk.
async function store(webhookId, body) {
  const name = createHash("sha256").update(webhookId).digest("hex") + ".json";
  const unfinished = join(folder, `${name}.${randomUUID()}.part`);
  const file = await open(unfinished, "wx");
  try {
    await file.writeFile(body);
    await file.sync();
    await link(unfinished, join(folder, name)); // fails if it is there
    toDo.push(name);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  } finally {
    await file.close();
    await rm(unfinished, { force: true });
  }
  const it = await open(folder);
  await it.sync().finally(() => it.close());
}

// The answer: its status, and why, which the operator of RecordEngine is shown.
async function receive(request) {
  if (request.method !== "POST") return [405, "POST only"];
  const [given, expected] = [request.headers.authorization ?? "", `Bearer ${token}`].map((s) => createHash("sha256").update(s).digest());
  if (token && !timingSafeEqual(given, expected)) return [401, "another bearer token, or none"];
  if (Number(request.headers["content-length"]) > largest) return [413, `more than ${largest} bytes`];
  const body = await bodyOf(request);
  if (secret && !verify(secret, request.headers, body)) return [401, "the signature does not verify"];
  const id = request.headers["webhook-id"];
  if (!id) return [400, "no webhook-id: does a proxy remove it?"];
  try {
    if (typeof JSON.parse(body).event !== "string") throw new TypeError("no event");
  } catch {
    return [400, "not an event in JSON"];
  }
  try {
    await store(id, body);
  } catch (error) {
    console.error("not stored:", error);
    return [503, "not stored"]; // a document comes again within ten seconds
  }
  void workOnWhatIsStored();
  return [204, ""]; // only now: it is stored, or was before
}

const toDo = [];
let working = false;

async function workOnWhatIsStored() {
  if (working) return;
  working = true;
  for (let name; (name = toDo.shift()); ) {
    try {
      await work(JSON.parse(await readFile(join(folder, name))));
      await writeFile(join(folder, `${name}.done`), "");
    } catch (error) {
      console.error(name, error); // one event that fails does not stop the others
    }
  }
  working = false;
}

await mkdir(folder, { recursive: true });
const there = new Set(await readdir(folder));
toDo.push(...[...there].filter((name) => name.endsWith(".json") && !there.has(`${name}.done`)));
void workOnWhatIsStored();
const server = createServer(async (request, response) => {
  try {
    const [status, why] = await receive(request);
    if (status === 401 || status === 413) response.setHeader("Connection", "close"); // the body may be unread
    response.writeHead(status).end(why);
  } catch {
    request.destroy(); // half a request is no event, and gets no answer
  }
});
server.keepAliveTimeout = 60_000; // longer than a worker keeps a connection
server.listen(Number(process.env.PORT ?? 8099));
