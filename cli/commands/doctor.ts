// doctor: looks at each link from here to a served request; each fault comes with the command that mends it.
import { request } from "node:http";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { App, Node, WhoAmI } from "../../contracts/api.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { listAll } from "./list-all.ts";
import { contextOf } from "./run.ts";

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What mends it; null where nothing is wrong. */
  readonly mend: string | null;
}

const DIAL_TIMEOUT_MS = 5_000;
const HEARTBEAT_LATE_MS = 10_000;

export function doctorCommand() {
  return new Command("doctor")
    .description("find what is broken and how to mend it")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const findings: Finding[] = [];
      for (const check of [checkApi, checkIdentity, checkNodes, checkApps]) {
        const found = await check(context);
        findings.push(...found);
        // Without an API or an identity the later checks could only repeat the same fault.
        if (check !== checkNodes && found.some((finding) => !finding.ok)) break;
      }
      context.out.result(findings, () => {
        for (const { check, ok, detail, mend } of findings) {
          context.out.line(`${ok ? pc.green("✓") : pc.red("✗")} ${check}: ${detail}`);
          if (mend !== null) context.out.line(`    ${pc.bold(mend)}`);
        }
      });
      const faults = findings.filter((finding) => !finding.ok).length;
      if (faults > 0) throw new CommandFailure(`${faults} fault${faults === 1 ? "" : "s"} found`, EXIT.failed);
    });
}

const fine = (check: string, detail: string): Finding => ({ check, ok: true, detail, mend: null });
const fault = (check: string, detail: string, mend: string): Finding => ({ check, ok: false, detail, mend });

async function checkApi({ api }: Context): Promise<Finding[]> {
  try {
    const answer = await fetch(new URL("/healthz", api.apiUrl), { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) });
    if (answer.ok) return [fine("API", `${api.apiUrl} answers`)];
    return [fault("API", `${api.apiUrl} answers ${answer.status}`, "berth login --api <the right address>")];
  } catch {
    return [fault("API", `nothing answers at ${api.apiUrl}`, "npm start")];
  }
}

async function checkIdentity({ api }: Context): Promise<Finding[]> {
  try {
    const me = await api.call(WhoAmI, "GET", "/v1/whoami");
    return [fine("identity", `${me.user.email}, team ${me.team.slug}`)];
  } catch (cause) {
    if (!(cause instanceof CommandFailure)) throw cause;
    const mend = cause.exitCode === EXIT.signedOut ? "berth login" : "npm start";
    return [fault("identity", cause.message, mend)];
  }
}

async function checkNodes(context: Context): Promise<Finding[]> {
  let nodes: Node[];
  try {
    nodes = await listAll(context, Node, "/v1/nodes");
  } catch (cause) {
    if (cause instanceof CommandFailure && cause.problem?.code === "forbidden")
      return [fine("nodes", "only operators can see them")];
    throw cause;
  }
  if (nodes.length === 0) return [fault("nodes", "none is enrolled", "berth nodes token")];
  return nodes.map((node) => {
    const silentMs = node.lastHeartbeatAtMs === null ? Infinity : Date.now() - node.lastHeartbeatAtMs;
    const check = `node ${node.name}`;
    if (node.phase === "ready" && silentMs < HEARTBEAT_LATE_MS)
      return fine(check, `ready, ${node.instances} instances, revision ${node.ackRevision}`);
    return fault(
      check,
      `${node.phase}, last heard of ${Math.round(silentMs / 1000)} s ago`,
      `on ${node.name}: restart the agent (node agent.mjs run …)`,
    );
  });
}

async function checkApps(context: Context): Promise<Finding[]> {
  const apps = (await listAll(context, App, "/v1/apps")).filter(
    (app) => app.currentRelease !== null && app.replicas > 0,
  );
  return await Promise.all(
    apps.map(async (app) => {
      const status = await dial(app.url, context.config?.edgeUrl);
      const check = `app ${app.name}`;
      if (status !== null && status < 500) return fine(check, `${app.url} answers ${status}`);
      return fault(
        check,
        status === null ? `${app.url} cannot be reached` : `${app.url} answers ${status}`,
        `berth status ${app.name}`,
      );
    }),
  );
}

/** The status that an app's URL answers with, or null if nothing does. */
function dial(url: string, edgeUrl: string | undefined): Promise<number | null> {
  const target = new URL(url);
  const dialled = new URL(edgeUrl ?? url);
  if (dialled.protocol === "https:") {
    return fetch(url, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) }).then(
      (answer) => answer.status,
      () => null,
    );
  }
  return new Promise((resolve) => {
    const outgoing = request(
      {
        host: dialled.hostname,
        port: dialled.port,
        path: target.pathname,
        headers: { host: target.host },
        timeout: DIAL_TIMEOUT_MS,
      },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? null);
      },
    );
    outgoing.on("timeout", () => outgoing.destroy());
    outgoing.on("error", () => resolve(null));
    outgoing.end();
  });
}
