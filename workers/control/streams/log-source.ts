// The log of one instance, line by line, as its node's gateway has it; where it cannot be had, one line says why.
import type { Instance } from "../../../contracts/api.ts";
import type { TeamId } from "../../../contracts/ids.ts";
import type { LogLine } from "../../../contracts/ticket.ts";
import { fetchInstance } from "../../edge/fetch-instance.ts";
import { ticketFor } from "../../edge/tickets.ts";
import type { ControlEnv } from "../env.ts";

export type InstanceLogLine = LogLine & { readonly instance: string; readonly node: string | null };

export interface LogRequest {
  readonly team: TeamId;
  readonly instance: Instance;
  /** The node's gateway, null where it is not known. */
  readonly gatewayUrl: string | null;
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** A gateway answers its logs from disk at once. */
const HEADERS_TIMEOUT_MS = 5_000;
/** Longer lines are cut by the agent; whatever comes must not fill the memory. */
const LINE_CHARS_MAX = 65_536;

export async function* instanceLog(env: ControlEnv, request: LogRequest): AsyncGenerator<InstanceLogLine> {
  const { instance, node } = { instance: request.instance.id, node: request.instance.node };
  const opened = await openLog(env, request);
  if (typeof opened === "string") {
    yield { atMs: Date.now(), stream: "berth", line: opened, instance, node };
    return;
  }
  for await (const line of linesOf(opened)) {
    const parsed = parseLine(line);
    if (parsed !== null) yield { ...parsed, instance, node };
  }
}

/** The body, or why there is none. */
async function openLog(env: ControlEnv, request: LogRequest): Promise<ReadableStream<Uint8Array> | string> {
  const { instance, gatewayUrl, tail, follow } = request;
  if (instance.node === null || gatewayUrl === null) return "this instance is not on a node yet";
  const name = instance.nodeName ?? instance.node;
  const place = { team: request.team, app: instance.app, instance: instance.id, generation: instance.generation };
  const ticket = await ticketFor(
    { key: env.TICKET_SIGNING_KEY, ...place, node: instance.node, use: "logs" },
    Date.now(),
  );
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), HEADERS_TIMEOUT_MS);
  const result = await fetchInstance(
    { endpoint: { gatewayUrl }, ticket },
    {
      init: {
        headers: new Headers(),
        redirect: "manual",
        signal: AbortSignal.any([request.signal, timeout.signal]),
      },
      path: `/.berth/logs?tail=${tail}${follow ? "&follow=1" : ""}`,
      host: new URL(gatewayUrl).host,
    },
  ).finally(() => clearTimeout(timer));
  switch (result.kind) {
    case "unreachable":
      return `the gateway of node ${name} cannot be reached: its logs are there when it is back`;
    case "gone":
      return `node ${name} no longer has this instance`;
    case "gateway_error":
      await result.response.body?.cancel();
      return `the gateway of node ${name} answered ${result.code}`;
    case "answered":
      if (result.response.ok && result.response.body !== null) return result.response.body;
      await result.response.body?.cancel();
      return `the gateway of node ${name} answered ${result.response.status}`;
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split("\n");
      rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
      yield* lines;
    }
    if (rest !== "") yield rest;
  } catch {
    // The gateway went away in the middle: what came is what there is.
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function parseLine(text: string): LogLine | null {
  if (text === "") return null;
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return null;
  }
}
