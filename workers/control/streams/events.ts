// The event stream of one app: woken by a hibernating socket to its object, read from the object, written as SSE.
import type { AppId, TeamId } from "../../../contracts/ids.ts";
import { listEvents } from "../../../db/queries/history.ts";
import type { ControlEnv } from "../env.ts";
import { ask } from "../http/ask.ts";
import { databaseOf } from "../http/database.ts";
import { fail } from "../http/problem.ts";
import { unwrap } from "../http/respond.ts";
import { bell, KEEP_ALIVE_MS, outgoing, type Outgoing } from "./outgoing.ts";

/** One RPC's worth; the next page is asked for as soon as this one is written. */
const PAGE = 100;

interface Stream {
  readonly app: AppId;
  readonly team: TeamId;
  readonly afterSeq: number;
  readonly signal: AbortSignal;
  /** Asked before anything is written that the caller's token must allow. */
  readonly stillAllowed: () => Promise<boolean>;
  /** Keeps the invocation alive after the client has gone, for as long as it takes to close the socket. */
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Ends when the client goes, when its token is revoked, or when the object's socket closes: clients come back with Last-Event-ID. */
export async function eventStream(env: ControlEnv, stream: Stream): Promise<ReadableStream<Uint8Array>> {
  const answer = await env.APP.getByName(stream.app).fetch("https://app/events", { headers: { upgrade: "websocket" } });
  const socket = answer.webSocket;
  if (!socket) {
    if (answer.status === 503) fail("overloaded", "Too many streams are open on this app.", { retryAfterMs: 5_000 });
    return fail("not_found", "This app has no events.");
  }
  const news = bell();
  let lastSeq = 0;
  let closed = false;
  socket.addEventListener("message", ({ data }) => {
    lastSeq = Math.max(lastSeq, (JSON.parse(String(data)) as { lastSeq: number }).lastSeq);
    news.ring();
  });
  const end = () => {
    closed = true;
    news.ring();
  };
  socket.addEventListener("close", end);
  socket.addEventListener("error", end);
  socket.accept();
  const out = outgoing(stream.signal);
  out.onEnd(() => {
    end();
    closeQuietly(socket);
  });
  const heard = { wait: (ms: number) => news.wait(ms), lastSeq: () => lastSeq, closed: () => closed };
  const work = write(env, stream, out, heard);
  stream.waitUntil(work.catch(() => undefined).finally(() => out.close()));
  return out.readable;
}

async function write(
  env: ControlEnv,
  { app, team, afterSeq, stillAllowed }: Stream,
  out: Outgoing,
  news: { wait(timeoutMs: number): Promise<void>; lastSeq(): number; closed(): boolean },
): Promise<void> {
  // Something at once, so that proxies and clients see that the stream is open.
  await out.write(": open\n\n");
  let at = afterSeq;
  while (!news.closed()) {
    if (news.lastSeq() <= at) {
      const heard = news.lastSeq();
      await news.wait(KEEP_ALIVE_MS);
      if (news.closed() || !(await stillAllowed())) return;
      if (news.lastSeq() === heard && !(await out.write(": still here\n\n"))) return;
      continue;
    }
    const page = unwrap(
      await ask(() => env.APP.getByName(app).listEvents({ afterSeq: at, limit: PAGE }), { repeatable: true }),
    );
    if (!(await stillAllowed())) return;
    const kept = page.items[0]?.seq ?? page.lastSeq + 1;
    // The object forgets what Postgres has: a client that was away for long is told from there.
    const past =
      kept > at + 1 ? await listEvents(databaseOf(env), team, { source: `app:${app}`, afterSeq: at, limit: PAGE }) : [];
    const items = past.length > 0 ? past : page.items;
    for (const event of items) {
      const text = `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      if (!(await out.write(text))) return;
    }
    // An empty page says that what is between was forgotten.
    at = items.at(-1)?.seq ?? Math.max(at, page.lastSeq);
  }
}

function closeQuietly(socket: WebSocket): void {
  try {
    socket.close(1000, "the client has gone");
  } catch {
    // It is closed already.
  }
}
