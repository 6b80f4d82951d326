// The public API as the CLI calls it: parsed answers, problems as failures, retries that repeat nothing twice.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createParser } from "eventsource-parser";
import type { z } from "zod";
import { BerthEvent } from "../contracts/events.ts";
import { Problem } from "../contracts/failures.ts";
import { CommandFailure, EXIT, failureOfProblem } from "./failure.ts";
import { plain } from "./plain-text.ts";

export interface Api {
  readonly apiUrl: string;
  call<Schema extends z.ZodType>(
    schema: Schema,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<z.infer<Schema>>;
  /** Text as it is, both ways. */
  post(path: string, body: unknown): Promise<string>;
  upload(path: string, bytes: Uint8Array, mediaType?: string): Promise<void>;
  stream(path: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  events(app: string, afterSeq: number, signal: AbortSignal): AsyncGenerator<BerthEvent>;
}

export interface ApiOptions {
  readonly apiUrl: string;
  readonly token?: string | undefined;
  readonly team?: string | undefined;
  /** For programs: every text as it was sent. For people control characters are left out. */
  readonly exact?: boolean;
}

type Init = Omit<RequestInit, "headers"> & { headers?: Record<string, string> };

const ATTEMPTS_MAX = 3;

export function createApi({ apiUrl, token, team, exact = false }: ApiOptions): Api {
  const shown = <Value>(value: Value): Value => (exact ? value : plain(value));
  const headers: Record<string, string> = {
    accept: "application/json",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(team === undefined ? {} : { "berth-team": team }),
  };

  /** Writes carry one idempotency key over all attempts, so that a lost answer never makes a second effect. */
  async function attempt(path: string, init: Init): Promise<Response> {
    const isWrite = init.method !== undefined && init.method !== "GET";
    const sent = { ...headers, ...(isWrite ? { "idempotency-key": randomUUID() } : {}) };
    for (let tried = 1; ; tried += 1) {
      const last = tried === ATTEMPTS_MAX;
      try {
        const answer = await fetch(new URL(path, apiUrl), { ...init, headers: { ...sent, ...init.headers } });
        if (answer.status !== 503 || last) return answer;
        await answer.body?.cancel();
      } catch (cause) {
        if (init.signal?.aborted) throw cause;
        if (last) throw unreachable(apiUrl, cause);
      }
      await sleep(200 * 2 ** tried * (0.5 + Math.random()));
    }
  }

  async function checked(path: string, init: Init): Promise<Response> {
    const answer = await attempt(path, init);
    if (answer.ok) return answer;
    throw await failureOfAnswer(answer, shown);
  }

  return {
    apiUrl,
    async call(schema, method, path, body) {
      const json =
        body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      const answer = await checked(path, { method, ...json });
      if (answer.status === 204) return schema.parse(null);
      const text = await answer.text().catch((cause: unknown) => Promise.reject(unreachable(apiUrl, cause)));
      return schema.parse(shown(JSON.parse(text)));
    },
    async post(path, body) {
      const init = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      return (await checked(path, init)).text();
    },
    async upload(path, bytes, mediaType = "application/gzip") {
      const init = {
        method: "PUT",
        body: bytes as Uint8Array<ArrayBuffer>,
        headers: { "content-type": mediaType },
      };
      await (await checked(path, init)).body?.cancel();
    },
    async stream(path, signal) {
      const answer = await checked(path, { method: "GET", ...(signal === undefined ? {} : { signal }) });
      if (answer.body === null) throw new CommandFailure("The API answered without a body", EXIT.unreachable);
      return answer.body;
    },
    events: (app, afterSeq, signal) => followEvents({ open: checked, shown }, app, afterSeq, signal),
  };
}

/** Server-sent events that resume after the last one seen whenever the stream ends. Ends only when the signal says so. */
async function* followEvents(
  { open, shown }: { open: (path: string, init: Init) => Promise<Response>; shown: (event: BerthEvent) => BerthEvent },
  app: string,
  afterSeq: number,
  signal: AbortSignal,
): AsyncGenerator<BerthEvent> {
  let lastSeq = afterSeq;
  while (!signal.aborted) {
    const waiting: BerthEvent[] = [];
    const parser = createParser({ onEvent: (event) => void waiting.push(BerthEvent.parse(JSON.parse(event.data))) });
    try {
      const answer = await open(`/v1/apps/${app}/events`, {
        signal,
        headers: { accept: "text/event-stream", "last-event-id": String(lastSeq) },
      });
      const decoder = new TextDecoder();
      for await (const chunk of answer.body ?? []) {
        parser.feed(decoder.decode(chunk, { stream: true }));
        for (const event of waiting.splice(0)) {
          lastSeq = event.seq;
          yield shown(event);
        }
      }
    } catch (cause) {
      if (signal.aborted) return;
      if (cause instanceof CommandFailure) throw cause;
    }
    await sleep(250);
  }
}

async function failureOfAnswer(answer: Response, shown: (problem: Problem) => Problem): Promise<CommandFailure> {
  const text = await answer.text();
  try {
    return failureOfProblem(shown(Problem.parse(JSON.parse(text))));
  } catch {
    return new CommandFailure(
      `The API answered ${answer.status} without a problem description`,
      EXIT.unreachable,
      "Is the API's address right? `berth doctor` checks it.",
    );
  }
}

function unreachable(apiUrl: string, cause: unknown): CommandFailure {
  const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
  return new CommandFailure(
    `No answer from ${apiUrl} (${reason})`,
    EXIT.unreachable,
    "Is Berth running? On one machine: `npm start`. `berth doctor` looks for the cause.",
  );
}
