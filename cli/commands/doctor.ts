// doctor: looks at each link from here to a served request; each fault comes with the command that mends it.
import { request } from "node:http";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { z } from "zod";
import { App, Node, WhoAmI } from "../../contracts/api.ts";
import { AgentUpgrades } from "../../contracts/agent-release.ts";
import { BackupRecord } from "../../contracts/backup.ts";
import { PlatformKeys } from "../../contracts/keys.ts";
import { Domain } from "../../contracts/domains.ts";
import type { Context } from "../context.ts";
import { shownMs } from "../duration.ts";
import { domainFindings } from "../doctor/domain-findings.ts";
import { fault, fine, type Finding } from "../doctor/finding.ts";
import { nodeFindings } from "../doctor/node-findings.ts";
import { upgradeFindings } from "../doctor/upgrade-findings.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { listAll } from "./list-all.ts";
import { appPath, contextOf } from "./run.ts";

const DIAL_TIMEOUT_MS = 5_000;

const CHECKS = [
  ...[checkApi, checkIdentity, checkNodes, checkUpgrades],
  ...[checkBackups, checkKeys, checkApps, checkDomains],
];

export function doctorCommand() {
  return new Command("doctor")
    .description("find what is broken and how to mend it")
    .action(async (_options, command) => {
      const context = contextOf(command);
      const findings: Finding[] = [];
      for (const check of CHECKS) {
        const found = await check(context);
        findings.push(...found);
        // Without an API or an identity the later checks could only repeat the same fault.
        if ((check === checkApi || check === checkIdentity) && found.some((finding) => !finding.ok)) break;
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

async function checkApi({ api }: Context): Promise<Finding[]> {
  try {
    const answer = await fetch(new URL("/healthz", api.apiUrl), { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) });
    if (answer.ok) return [fine("API", `${api.apiUrl} answers`)];
    return [fault("API", `${api.apiUrl} answers ${answer.status}`, "berth login --api <the right address>")];
  } catch {
    return [fault("API", `nothing answers at ${api.apiUrl}`, startOf(api.apiUrl))];
  }
}

/** A stack on this machine can be started; of a platform elsewhere the runbook says what can be seen of it. */
function startOf(apiUrl: string): string {
  const { hostname } = new URL(apiUrl);
  if (hostname === "localhost" || hostname === "127.0.0.1") return "npm start";
  return `curl -sv ${new URL("/healthz", apiUrl).href}; then docs/ALARMS.md, "Of the platform"`;
}

async function checkIdentity({ api }: Context): Promise<Finding[]> {
  try {
    const me = await api.call(WhoAmI, "GET", "/v1/whoami");
    return [fine("identity", `${me.user.email}, team ${me.team.slug}`)];
  } catch (cause) {
    if (!(cause instanceof CommandFailure)) throw cause;
    const mend = cause.exitCode === EXIT.signedOut ? "berth login" : startOf(api.apiUrl);
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
  const found = nodes.flatMap((node) => nodeFindings(node, Date.now()));
  return found.length === 0 ? [fault("nodes", "none is enrolled", "berth nodes token")] : found;
}

/** What stopped an upgrade of agents stays so until somebody looks. */
async function checkUpgrades({ api }: Context): Promise<Finding[]> {
  try {
    const { items } = await api.call(AgentUpgrades, "GET", "/v1/agent-upgrades");
    return items.flatMap((upgrade) => upgradeFindings(upgrade));
  } catch (cause) {
    if (cause instanceof CommandFailure && ["forbidden", "not_found"].includes(cause.problem?.code ?? "")) return [];
    throw cause;
  }
}

/** Only an operator sees them; whoever never made one is reminded, not alarmed. */
async function checkBackups({ api }: Context): Promise<Finding[]> {
  let newest: BackupRecord | undefined;
  try {
    [newest] = (await api.call(z.object({ items: z.array(BackupRecord) }), "GET", "/v1/backups")).items;
  } catch (cause) {
    if (cause instanceof CommandFailure && ["forbidden", "not_found"].includes(cause.problem?.code ?? "")) return [];
    throw cause;
  }
  if (newest === undefined) return [fine("backup", "none was made yet: `berth backup` makes one")];
  const ageMs = Date.now() - newest.endedAtMs;
  const detail = `${newest.to}, ${shownMs(ageMs)} ago`;
  if (ageMs <= newest.alarmAfterMs) return [fine("backup", detail)];
  return [
    fault(
      "backup",
      `the last one is older than ${shownMs(newest.alarmAfterMs)}: ${detail}`,
      "systemctl status berth-backup.timer",
    ),
  ];
}

/** Only an operator sees them. */
async function checkKeys(context: Context): Promise<Finding[]> {
  let keys: PlatformKeys;
  try {
    keys = await context.api.call(PlatformKeys, "GET", "/v1/keys");
  } catch (cause) {
    if (cause instanceof CommandFailure && ["forbidden", "not_found"].includes(cause.problem?.code ?? "")) return [];
    throw cause;
  }
  const old = keys.items.filter(({ isOld }) => isOld);
  if (old.length === 0) return [fine("keys", "none is older than it may be")];
  return old.map(({ kind, version, activatedAtMs, createdAtMs }) => {
    const ageMs = Date.now() - (activatedAtMs ?? createdAtMs);
    return fault(`key ${kind} ${version}`, `in use for ${shownMs(ageMs)}`, `berth keys rotate ${kind}`);
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

async function checkDomains(context: Context): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name } of await listAll(context, App, "/v1/apps")) {
    const domains = await listAll(context, Domain, appPath(name, "/domains"));
    findings.push(...domains.flatMap((domain) => domainFindings(domain, name, Date.now())));
  }
  return findings;
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
