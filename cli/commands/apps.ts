// apps, status, ps, releases, open: what there is and how it is.
import { spawn } from "node:child_process";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { App, Instance, Rollout, page } from "../../contracts/api.ts";
import { Domain } from "../../contracts/domains.ts";
import { Release } from "../../contracts/release.ts";
import { withNames } from "../actors.ts";
import type { Context } from "../context.ts";
import { ago, phase } from "../output.ts";
import { explain } from "../watch-rollout.ts";
import { listAll } from "./list-all.ts";
import { appNameOf, appPath, contextOf } from "./run.ts";

export function appCommands() {
  const apps = new Command("apps").description("list the team's apps").action(async (_options, command) => {
    const context = contextOf(command);
    const items = await listAll(context, App, "/v1/apps");
    context.out.result(items, () =>
      context.out.table(
        ["APP", "STATUS", "VERSION", "READY", "URL"],
        items.map((app) => [app.name, phase(app.status), version(app), readiness(app), app.url]),
      ),
    );
  });

  const status = new Command("status")
    .description("how an app is, and its last rollout")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, named);
      const [app, rollouts, instances, domains] = await Promise.all([
        context.api.call(App, "GET", appPath(name)),
        context.api.call(page(Rollout), "GET", appPath(name, "/rollouts?limit=1")),
        listAll(context, Instance, appPath(name, "/instances")),
        listAll(context, Domain, appPath(name, "/domains")),
      ]);
      const rollout = rollouts.items[0] ?? null;
      const waitingFor = rollout?.waitingFor == null ? null : await withNames(context, rollout.waitingFor);
      const shown = rollout === null ? null : { ...rollout, waitingFor };
      context.out.result({ app, rollout, instances, domains }, () =>
        showStatus(context, { app, rollout: shown, instances, domains }),
      );
    });

  const ps = new Command("ps")
    .description("an app's instances and the nodes they run on")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const items = await listAll(context, Instance, appPath(appNameOf(context, named), "/instances"));
      context.out.result(items, () => showInstances(context, items));
    });

  const releases = new Command("releases")
    .description("an app's releases, the newest first")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const name = appNameOf(context, named);
      const [app, items] = await Promise.all([
        context.api.call(App, "GET", appPath(name)),
        listAll(context, Release, appPath(name, "/releases")),
      ]);
      const shown = await Promise.all(
        items.map(async (item) => ({ ...item, createdBy: await withNames(context, item.createdBy) })),
      );
      context.out.result(items, () => showReleases(context, app, shown));
    });

  const open = new Command("open")
    .description("open an app in the browser")
    .argument("[app]")
    .action(async (named, _options, command) => {
      const context = contextOf(command);
      const app = await context.api.call(App, "GET", appPath(appNameOf(context, named)));
      context.out.result({ url: app.url }, () => context.out.line(app.url));
      if (context.interactive) openInBrowser(app.url);
    });
  return [apps, status, ps, releases, open];
}

/** Of what serves as a whole; what comes or is tried beside it is counted apart: `3/3 +1`. */
function readiness({ weights, currentRelease, readyInstances, replicas }: App): string {
  const serving = weights.find((known) => known.version === currentRelease?.version);
  if (serving === undefined) return `${readyInstances}/${replicas}`;
  const others = readyInstances - serving.ready;
  return `${serving.ready}/${replicas}${others > 0 ? ` +${others}` : ""}`;
}

const version = (app: App): string => (app.currentRelease === null ? "–" : `v${app.currentRelease.version}`);

interface Status {
  readonly app: App;
  readonly rollout: Rollout | null;
  readonly instances: readonly Instance[];
  readonly domains: readonly Domain[];
}

function showStatus(context: Context, { app, rollout, instances, domains }: Status): void {
  const { out } = context;
  out.line(`${pc.bold(app.name)}  ${phase(app.status)}  ${version(app)}  ${readiness(app)} ready  ${app.url}`);
  if (app.maintenance) {
    const way = `\`berth maintenance off ${app.name}\` ends it`;
    out.line(pc.yellow(`in maintenance: visitors get a page that says so; ${way}`));
  }
  if (rollout !== null) {
    const waiting = rollout.waitingFor === null ? "" : `, waiting for ${rollout.waitingFor}`;
    const isOver = rollout.endedAtMs !== null;
    const when = `${isOver ? "" : "begun "}${ago(rollout.endedAtMs ?? rollout.startedAtMs, Date.now())}`;
    const state = phase(rollout.paused === null ? rollout.phase : "paused");
    const which = isOver ? "last rollout" : "rollout";
    out.line(`${which}: ${rollout.reason} to v${rollout.toVersion} ${state}${isOver ? "" : ","} ${when}${waiting}`);
    if (rollout.failure !== null) out.line(`  ${explain(rollout.failure)}`);
  }
  // What serves is named; what does not yet says why.
  for (const { hostname, status, message } of domains)
    out.line(`domain: ${hostname}  ${phase(status)}${status === "active" ? "" : `  ${message}`}`);
  showInstances(context, instances);
}

function showInstances(context: Context, instances: readonly Instance[]): void {
  context.out.table(
    ["INSTANCE", "VERSION", "PHASE", "NODE", "RESTARTS", "SINCE", ""],
    instances.map((instance) => [
      instance.id,
      `v${instance.version}`,
      phase(instance.phase),
      instance.nodeName ?? "–",
      String(instance.restarts),
      ago(instance.readyAtMs ?? instance.createdAtMs, Date.now()),
      instance.failure?.message ?? "",
    ]),
  );
}

function showReleases(context: Context, app: App, releases: readonly Release[]): void {
  context.out.table(
    ["VERSION", "SOURCE", "CREATED", "BY", "NOTE"],
    releases.map((release) => [
      `v${release.version}${release.id === app.currentRelease?.id ? pc.green(" current") : ""}`,
      release.spec.source.kind === "image" ? release.spec.source.reference : release.spec.source.hash.slice(0, 19),
      ago(release.createdAtMs, Date.now()),
      release.createdBy,
      release.message ?? "",
    ]),
  );
}

/** The platform's own opener; where there is none the printed address has to do. */
function openInBrowser(url: string): void {
  const [command, ...args] =
    process.platform === "darwin" ? ["open"] : process.platform === "win32" ? ["cmd", "/c", "start", ""] : ["xdg-open"];
  const child = spawn(command as string, [...args, url], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}
