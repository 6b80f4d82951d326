// The stack's operator, through the public API alone: made on the first start, signed in on each.
import type { z } from "zod";
import { JoinTokenCreated, Node as NodeShape, page, Session, WhoAmI } from "../../contracts/api.ts";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { StackState } from "./state.ts";

export class ApiRefused extends Error {
  readonly status: number;

  constructor(method: string, path: string, status: number, body: string) {
    super(`${method} ${path} answered ${status}: ${body.slice(0, 500)}`);
    this.name = "ApiRefused";
    this.status = status;
  }
}

export interface ApiCall<Schema extends z.ZodType> {
  readonly schema: Schema;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string | null;
}

export async function callApi<Schema extends z.ZodType>(
  controlUrl: string,
  call: ApiCall<Schema>,
): Promise<z.infer<Schema>> {
  const { schema, method, path, body, token } = call;
  const response = await fetch(new URL(path, controlUrl), {
    method,
    headers: {
      accept: "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json", "idempotency-key": randomUUID() }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiRefused(method, path, response.status, text);
  return schema.parse(JSON.parse(text));
}

type Operator = StackState["operator"];

/** Gives a token that works: last time's, else a new session; makes the account if the installation has none. */
export async function signInOperator(
  controlUrl: string,
  setupToken: string,
  operator: Operator,
): Promise<Operator & { token: string }> {
  if (operator.token !== null && (await isAccepted(controlUrl, operator.token)))
    return { ...operator, token: operator.token };
  const { email, password } = operator;
  const session = await firstOf(
    () =>
      callApi(controlUrl, {
        schema: Session,
        method: "POST",
        path: "/v1/setup",
        body: { setupToken, email, password },
      }),
    // 409: an earlier start made it, and was killed before it noted the token.
    () => callApi(controlUrl, { schema: Session, method: "POST", path: "/v1/sign-in", body: { email, password } }),
  );
  return { email, password, token: session.token, team: session.team.slug };
}

async function isAccepted(controlUrl: string, token: string): Promise<boolean> {
  try {
    await callApi(controlUrl, { schema: WhoAmI, method: "GET", path: "/v1/whoami", token });
    return true;
  } catch (error) {
    if (error instanceof ApiRefused && error.status === 401) return false;
    throw error;
  }
}

async function firstOf<Value>(make: () => Promise<Value>, whenDone: () => Promise<Value>): Promise<Value> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof ApiRefused && (error.status === 409 || error.status === 403)) return whenDone();
    throw error;
  }
}

export async function makeJoinToken(controlUrl: string, token: string, region: string): Promise<string> {
  const body = { region };
  return (
    await callApi(controlUrl, { schema: JoinTokenCreated, method: "POST", path: "/v1/nodes/tokens", body, token })
  ).token;
}

export async function listNodes(controlUrl: string, token: string): Promise<Node[]> {
  const path = "/v1/nodes?limit=100";
  return (await callApi(controlUrl, { schema: page(NodeShape), method: "GET", path, token })).items;
}

export type Node = z.infer<typeof NodeShape>;

export interface NodesWanted {
  readonly controlUrl: string;
  readonly token: string;
  readonly count: number;
  readonly withinMs: number;
  readonly ending: AbortSignal;
}

/** Waits until so many nodes take placements. */
export async function untilNodesReady({ controlUrl, token, count, withinMs, ending }: NodesWanted): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    ending.throwIfAborted();
    const nodes = await listNodes(controlUrl, token).catch((error: unknown) => error as Error);
    if (Array.isArray(nodes) && nodes.filter(({ phase }) => phase === "ready").length >= count) return;
    if (performance.now() > deadlineMs) {
      const seen = Array.isArray(nodes)
        ? nodes.map(({ name, phase }) => `${name} ${phase}`).join(", ") || "none"
        : nodes.message;
      throw new Error(`${count} nodes were not ready within ${withinMs / 1000} s; seen: ${seen}`);
    }
    await sleep(100);
  }
}
