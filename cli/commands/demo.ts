// demo: a minute of steady traffic during which a good release is deployed and a broken one stops itself.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Command } from "@commander-js/extra-typings";
import pc from "picocolors";
import { App } from "../../contracts/api.ts";
import type { Rollout } from "../../contracts/api.ts";
import { readBerthToml } from "../berth-toml.ts";
import type { Context } from "../context.ts";
import { startLoad } from "../demo/load.ts";
import type { LoadReport } from "../demo/load.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { explain, watchRollout } from "../watch-rollout.ts";
import { wholeNumber } from "../whole-number.ts";
import { startDeployment } from "./deploy.ts";
import { appPath, contextOf } from "./run.ts";

const EXAMPLE = fileURLToPath(new URL("../../examples/hello", import.meta.url));

export function demoCommand() {
  return new Command("demo")
    .description("a minute at 100 requests/s: v2 goes live, a broken v3 stops itself, nobody notices")
    .option("--seconds <count>", "how long", wholeNumber, 60)
    .option("--rate <count>", "requests per second", wholeNumber, 100)
    .action(async (options, command) => {
      const context = contextOf(command);
      const app = await context.api.call(App, "GET", appPath("hello"));
      const load = startLoad({
        url: app.url,
        edgeUrl: context.config?.edgeUrl,
        rate: options.rate,
        seconds: options.seconds,
      });
      context.out.line(`${options.rate} requests/s to ${app.url} for ${options.seconds} s`);
      try {
        const stopped = await releaseWhileLoaded(context, app, options.seconds);
        conclude(context, await load.done, stopped);
      } finally {
        load.stop();
      }
    });
}

/** Deploys a good release, then a broken one, spread over the run. Returns how many bad releases stopped themselves. */
async function releaseWhileLoaded(context: Context, app: App, seconds: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "berth-demo-"));
  try {
    await sleep(seconds * 100);
    context.out.line(`\n${pc.bold("A good release")}`);
    const good = await release(
      context,
      app,
      folder,
      `greeting.txt`,
      `Hello again, since ${new Date().toISOString()}\n`,
    );
    if (good.phase !== "completed")
      throw new CommandFailure(`The good release ${good.phase}`, EXIT.failed, `berth status ${app.name}`);
    context.out.line(pc.green(`  v${good.toVersion} is live`));
    await sleep(seconds * 100);
    context.out.line(`\n${pc.bold("A broken release")}`);
    const broken = `console.error("cannot open the database: connection refused");\nprocess.exit(1);\n`;
    const bad = await release(context, app, folder, "server.mjs", broken);
    if (bad.phase !== "failed")
      throw new CommandFailure(`The broken release ${bad.phase}`, EXIT.failed, `berth status ${app.name}`);
    context.out.line(
      `  v${bad.toVersion} stopped itself: ${bad.failure === null ? "" : explain(bad.failure)}v${good.toVersion} keeps serving`,
    );
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The example app with one file written anew. */
async function release(context: Context, app: App, folder: string, file: string, content: string): Promise<Rollout> {
  cpSync(EXAMPLE, folder, { recursive: true });
  writeFileSync(join(folder, file), content);
  const wanted = {
    root: folder,
    toml: readBerthToml(folder),
    name: app.name,
    message: "berth demo",
    replicas: app.replicas,
  };
  const { rollout } = await startDeployment(context, wanted);
  return await watchRollout(context, app, rollout);
}

function conclude(context: Context, report: LoadReport, stopped: number): void {
  const count = report.requests.toLocaleString("en");
  const releases = `${stopped} bad release${stopped === 1 ? "" : "s"} stopped`;
  context.out.result({ ...report, badReleasesStopped: stopped }, () => {
    context.out.line();
    for (const [version, answered] of Object.entries(report.byVersion))
      context.out.line(pc.dim(`  ${version} answered ${answered.toLocaleString("en")}`));
    for (const [reason, times] of Object.entries(report.failures)) context.out.line(pc.red(`  ${reason}: ${times}`));
    context.out.line(`${count} requests, ${report.failed} failed, ${releases}`);
  });
  if (report.failed > 0) throw new CommandFailure(`${report.failed} requests failed`, EXIT.failed);
}
