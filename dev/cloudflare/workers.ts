// Workers' scripts: uploads as `wrangler deploy` sends them, versions and deployments, settings, schedules.
import { z } from "zod";
import { newId, type Account, type Binding, type Script } from "./account.ts";
import { done, Refused, type Call, type Endpoint } from "./contract.ts";
import { readUpload, type Upload } from "./upload.ts";

const ONE = "/accounts/{account}/workers/scripts/{script}";
const Schedules = z.array(z.strictObject({ cron: z.string() }));
const Subdomain = z.strictObject({ enabled: z.boolean(), previews_enabled: z.boolean().optional() });
const Deployment = z.strictObject({
  strategy: z.literal("percentage"),
  versions: z.array(z.strictObject({ version_id: z.string(), percentage: z.number() })).length(1),
  annotations: z.record(z.string(), z.string()).optional(),
  code_update_strategy: z.unknown().optional(),
});

export const workerEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: "/accounts/{account}/workers/scripts",
    permission: "Workers Scripts",
    answer: ({ account }) =>
      done([...account.scripts].map(([id, { migrationTag }]) => ({ id, migration_tag: migrationTag }))),
  },
  {
    method: "GET",
    path: "/accounts/{account}/workers/services/{script}",
    permission: "Workers Scripts",
    answer(call) {
      const { tag, migrationTag } = scriptOf(call, 10_090);
      const script = { tag, tags: null, migration_tag: migrationTag, last_deployed_from: "wrangler" };
      return done({ id: call.params.script, default_environment: { environment: "production", script } });
    },
  },
  {
    method: "PUT",
    path: ONE,
    permission: "Workers Scripts",
    query: ["excludeScript", "bindings_inherit"],
    isForm: true,
    async answer(call) {
      const name = call.params.script ?? "";
      const upload = await readUpload(call);
      const script = call.account.scripts.get(name) ?? newScript(call);
      migrate(script, upload);
      checkBindings(call.account, name, script, upload.bindings);
      applyBindings(script, upload);
      script.uploads += 1;
      call.account.scripts.set(name, script);
      return done({ id: name, etag: "etag", startup_time_ms: 5, deployment_id: newId(call.cloud) });
    },
  },
  {
    method: "POST",
    path: `${ONE}/versions`,
    permission: "Workers Scripts",
    query: ["bindings_inherit"],
    isForm: true,
    async answer(call) {
      const script = scriptOf(call);
      const upload = await readUpload(call);
      if (upload.migrations !== undefined) throw new Refused(400, 10_000, "A version cannot carry migrations.");
      checkBindings(call.account, call.params.script ?? "", script, upload.bindings);
      const id = crypto.randomUUID();
      script.versions.push({ id, bindings: keptAndNew(script, upload) });
      return done({ id, startup_time_ms: 5, resources: { script: { etag: "etag" } } });
    },
  },
  {
    method: "GET",
    path: `${ONE}/deployments`,
    permission: "Workers Scripts",
    answer(call) {
      const { versions } = scriptOf(call);
      const shown = versions.slice(-1).map(({ id }) => ({ version_id: id, percentage: 100 }));
      return done({
        deployments: [{ id: newId(call.cloud), source: "wrangler", strategy: "percentage", versions: shown }],
      });
    },
  },
  {
    method: "POST",
    path: `${ONE}/deployments`,
    permission: "Workers Scripts",
    query: ["force"],
    body: Deployment,
    answer(call) {
      const script = scriptOf(call);
      const wanted = (call.body as z.infer<typeof Deployment>).versions[0]?.version_id;
      const version = script.versions.find(({ id }) => id === wanted);
      if (version === undefined) throw new Refused(404, 10_007, "This version does not exist.");
      keep(script, version.bindings);
      script.uploads += 1;
      return done({ id: newId(call.cloud) });
    },
  },
  {
    method: "GET",
    path: `${ONE}/settings`,
    permission: "Workers Scripts",
    answer: (call) => done({ bindings: scriptOf(call).bindings, usage_model: "standard" }),
  },
  {
    method: "PATCH",
    path: `${ONE}/script-settings`,
    permission: "Workers Scripts",
    body: z.record(z.string(), z.unknown()),
    answer: (call) => (scriptOf(call), done(call.body)),
  },
  {
    method: "GET",
    path: `${ONE}/subdomain`,
    permission: "Workers Scripts",
    answer: (call) => done({ enabled: scriptOf(call).subdomain, previews_enabled: false }),
  },
  {
    method: "GET",
    path: "/accounts/{account}/workers/workers/{script}",
    permission: "Workers Scripts",
    answer(call) {
      const { tag, subdomain } = scriptOf(call);
      return done({ id: tag, name: call.params.script, subdomain: { enabled: subdomain, previews_enabled: false } });
    },
  },
  {
    method: "POST",
    path: `${ONE}/subdomain`,
    permission: "Workers Scripts",
    body: Subdomain,
    answer(call) {
      scriptOf(call).subdomain = (call.body as z.infer<typeof Subdomain>).enabled;
      return done(call.body);
    },
  },
  {
    method: "GET",
    path: `${ONE}/schedules`,
    permission: "Workers Scripts",
    answer: (call) => done({ schedules: scriptOf(call).crons.map((cron) => ({ cron })) }),
  },
  {
    method: "PUT",
    path: `${ONE}/schedules`,
    permission: "Workers Scripts",
    body: Schedules,
    answer(call) {
      scriptOf(call).crons = (call.body as z.infer<typeof Schedules>).map(({ cron }) => cron);
      return done({ schedules: call.body });
    },
  },
  {
    method: "DELETE",
    path: ONE,
    permission: "Workers Scripts",
    query: ["force"],
    answer(call) {
      scriptOf(call);
      const name = call.params.script ?? "";
      const users = [...call.account.scripts].filter(
        ([other, { bindings }]) => other !== name && bindings.some((one) => one.script_name === name),
      );
      if (users.length > 0 && call.query.get("force") !== "true")
        throw new Refused(400, 10_064, `The script ${name} is used by ${users[0]?.[0]}.`);
      call.account.scripts.delete(name);
      for (const zone of call.cloud.zones) zone.routes = zone.routes.filter(({ script }) => script !== name);
      return done({});
    },
  },
];

export function scriptOf({ account, params }: Call, code = 10_007): Script {
  const found = account.scripts.get(params.script ?? "");
  if (found === undefined) throw new Refused(404, code, "This Worker does not exist on your account.");
  return found;
}

function newScript({ cloud }: Call): Script {
  return {
    tag: newId(cloud),
    bindings: [],
    migrationTag: null,
    classes: [],
    crons: [],
    subdomain: false,
    uploads: 0,
    secrets: new Map(),
    versions: [],
  };
}

function migrate(script: Script, { migrations }: Upload): void {
  if (migrations === undefined) return;
  if ((migrations.old_tag ?? null) !== script.migrationTag)
    throw new Refused(
      412,
      10_079,
      `The migration starts at ${migrations.old_tag ?? "none"}, the script is at ${script.migrationTag ?? "none"}.`,
    );
  script.migrationTag = migrations.new_tag;
  script.classes.push(...migrations.steps.flatMap(({ new_sqlite_classes: classes }) => classes));
}

/** What a binding names must be there: a namespace, a bucket, a class of this or of another script. */
function checkBindings(account: Account, name: string, script: Script, bindings: readonly Binding[]): void {
  for (const binding of bindings) {
    const refuse = (what: string) => new Refused(400, 10_021, `binding ${binding.name}: ${what}`);
    if (binding.type === "kv_namespace" && !account.namespaces.some(({ id }) => id === binding.namespace_id))
      throw refuse(`KV namespace '${binding.namespace_id}' not found.`);
    if (binding.type === "r2_bucket" && !account.buckets.has(String(binding.bucket_name)))
      throw refuse(`R2 bucket '${binding.bucket_name}' not found.`);
    if (binding.type !== "durable_object_namespace") continue;
    const owner =
      binding.script_name === undefined || binding.script_name === name
        ? script
        : account.scripts.get(String(binding.script_name));
    if (owner === undefined) throw refuse(`script '${binding.script_name}' not found.`);
    if (!owner.classes.includes(String(binding.class_name)))
      throw refuse(`class '${binding.class_name}' is no object of it.`);
  }
}

/** `keep_bindings` names the types that stay although the upload says nothing of them. */
function keptAndNew(script: Script, { bindings, keep_bindings: kept = [] }: Upload): Binding[] {
  const named = new Set(bindings.map(({ name }) => name));
  return [...script.bindings.filter(({ type, name }) => kept.includes(type) && !named.has(name)), ...bindings];
}

function applyBindings(script: Script, upload: Upload): void {
  keep(script, keptAndNew(script, upload));
}

/** Secrets' values are write-only: kept apart, and shown without. */
function keep(script: Script, bindings: readonly Binding[]): void {
  for (const { type, name, text } of bindings)
    if (type === "secret_text" && typeof text === "string") script.secrets.set(name, text);
  script.bindings = bindings.map((one) => (one.type === "secret_text" ? { type: one.type, name: one.name } : one));
}
