// Makes what a plan lacks, one step at a time. Whatever interrupts it, the next run plans anew from what there is then.
import { z } from "zod";
import { migrate, urlFor } from "../../db/migrate.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { CloudflareRefused, type CloudflareApi } from "./cloudflare-api.ts";
import { newPassword, newSecret } from "./keys.ts";
import { readKept, writeKept } from "./kept.ts";
import { DATABASE_SECRETS, SETUP_TOKEN, TICKET_KEY, WORKER_TOKEN, type Plan, type Step } from "./plan.ts";
import { NO_SERVER, recordComment, type Wanted, type WorkerRole } from "./wanted.ts";
import { settingsOf, workerConfig, type ConfigInput } from "./worker-config.ts";
import type { World } from "./world.ts";
import { deploy, type WranglerAccess } from "./wrangler.ts";

export interface Execution {
  readonly api: CloudflareApi;
  readonly access: WranglerAccess;
  readonly wanted: Wanted;
  readonly world: World;
  readonly plan: Plan;
  readonly build: string;
  readonly adminUrl: string;
  readonly workerToken: string | null;
  readonly keptPath: string;
  /** Told before and after each step. */
  readonly report: (step: Step, state: "begun" | "done") => void;
}

export async function execute(execution: Execution): Promise<void> {
  let { namespaceId } = execution.world;
  for (const step of execution.plan.steps) {
    execution.report(step, "begun");
    const made = await make(step, execution, namespaceId);
    if (step.kind === "create_namespace") namespaceId = made;
    execution.report(step, "done");
  }
}

/** The id of what was made, where later steps need it. */
async function make(step: Step, execution: Execution, namespaceId: string | null): Promise<string | null> {
  const { api, wanted, adminUrl } = execution;
  const [ofAccount, ofZone] = [`/accounts/${wanted.zone.accountId}`, `/zones/${wanted.zone.id}`];
  switch (step.kind) {
    case "migrate":
      await migrate({ adminUrl, passwords: { owner: newPassword() } });
      return null;
    case "create_namespace": {
      const made = await api.call(WithId, "POST", `${ofAccount}/storage/kv/namespaces`, { title: step.title });
      return made.id;
    }
    case "create_bucket":
      await api.call(z.unknown(), "POST", `${ofAccount}/r2/buckets`, { name: step.name });
      return null;
    case "order_certificate":
      await orderCertificate(execution, step.hosts);
      return null;
    case "create_record":
      await api.call(z.unknown(), "POST", `${ofZone}/dns_records`, recordBody(wanted, step.name));
      return null;
    case "mend_record":
      await api.call(z.unknown(), "PUT", `${ofZone}/dns_records/${step.id}`, recordBody(wanted, step.name));
      return null;
    case "deploy":
      await deployWorker(step.role, step.secrets, execution, namespaceId);
      return null;
    case "create_route": {
      const body = { pattern: step.pattern, ...(step.worker === null ? {} : { script: step.worker }) };
      await api.call(z.unknown(), "POST", `${ofZone}/workers/routes`, body);
      return null;
    }
    case "set_fallback":
      await api.call(z.unknown(), "PUT", `${ofZone}/custom_hostnames/fallback_origin`, { origin: step.origin });
      return null;
  }
}

const WithId = z.object({ id: z.string() });
const recordBody = ({ name }: Wanted, host: string) => ({ name: host, ...NO_SERVER, comment: recordComment(name) });

async function orderCertificate({ api, wanted }: Execution, hosts: readonly string[]): Promise<void> {
  const body = {
    type: "advanced",
    hosts,
    validation_method: "txt",
    validity_days: 90,
    certificate_authority: "google",
  };
  try {
    await api.call(z.unknown(), "POST", `/zones/${wanted.zone.id}/ssl/certificate_packs/order`, body);
  } catch (error) {
    if (!(error instanceof CloudflareRefused) || error.kind !== "refused") throw error;
    throw new CommandFailure(
      `The certificate for ${hosts.slice(1).join(", ")} was refused: ${error.message}`,
      EXIT.failed,
      `A zone's own certificate covers one level below ${wanted.zone.name}. Buy Advanced Certificate Manager for the zone (dashboard, SSL/TLS, Edge Certificates; 10 USD a month) and run this again, or use --domain ${wanted.zone.name}.`,
    );
  }
}

async function deployWorker(
  role: WorkerRole,
  names: readonly string[],
  execution: Execution,
  namespaceId: string | null,
): Promise<void> {
  if (namespaceId === null) throw new Error("a Worker is deployed after its namespace is made");
  const { keptPath, access } = execution;
  const config = workerConfig(role, configInput(execution, role, namespaceId));
  await deploy(config, await secretsFor(names, execution), access);
  // Both have it now: the control Worker comes first in every plan.
  if (role === "edge") writeKept(keptPath, { ...readKept(keptPath), ticketKey: undefined });
}

export function configInput(execution: Execution, role: WorkerRole, namespaceId: string): ConfigInput {
  const { wanted, world, plan, build, workerToken } = execution;
  const { servesCustomDomains, hasWorkerToken } = settingsOf(wanted, world, workerToken !== null);
  return {
    wanted,
    namespaceId,
    note: { build, bypass: role === "control" ? [...plan.bypass] : [] },
    deployed: world[role],
    servesCustomDomains,
    hasWorkerToken,
  };
}

/** What is needed by both Workers, or by a person, is kept on this machine before the first of them gets it. */
async function secretsFor(names: readonly string[], execution: Execution): Promise<Record<string, string>> {
  const { keptPath, workerToken, adminUrl } = execution;
  const secrets: Record<string, string> = {};
  for (const name of names) {
    if ((DATABASE_SECRETS as readonly string[]).includes(name)) continue;
    const kept = readKept(keptPath);
    if (name === WORKER_TOKEN) secrets[name] = workerToken ?? "";
    else if (name === TICKET_KEY) {
      secrets[name] = kept.ticketKey ?? (await newSecret(name));
      writeKept(keptPath, { ...kept, ticketKey: secrets[name] });
    } else if (name === SETUP_TOKEN) {
      secrets[name] = kept.setupToken ?? (await newSecret(name));
      writeKept(keptPath, { ...kept, setupToken: secrets[name] });
    } else secrets[name] = await newSecret(name);
  }
  if (DATABASE_SECRETS.some((name) => names.includes(name))) {
    const passwords = { owner: newPassword(), auth: newPassword(), app: newPassword() };
    await migrate({ adminUrl, passwords });
    secrets.DATABASE_URL_APP = urlFor(adminUrl, "berth_app", passwords.app);
    secrets.DATABASE_URL_AUTH = urlFor(adminUrl, "berth_auth", passwords.auth);
  }
  return secrets;
}
