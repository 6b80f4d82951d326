// deploy: a folder or an image becomes a release, and its rollout is watched to the end.
import { resolve } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { Accepted, App } from "../../contracts/api.ts";
import type { Rollout } from "../../contracts/api.ts";
import { readBerthToml } from "../berth-toml.ts";
import type { BerthToml } from "../berth-toml.ts";
import { packFolder, requireFolder } from "../bundle.ts";
import type { Context } from "../context.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { bytes } from "../output.ts";
import { releaseSpecOf, wantedSource } from "../release-input.ts";
import { planOf } from "../rollout-toml.ts";
import { wholeNumber } from "../whole-number.ts";
import { concludeRollout, watchRollout } from "../watch-rollout.ts";
import { appPath, contextOf } from "./run.ts";

export function deployCommand() {
  return new Command("deploy")
    .description("deploy this folder, or an image")
    .argument("[folder]", "where berth.toml and the app are", ".")
    .option("--app <name>", "the app (default: the one in berth.toml)")
    .option("--image <reference>", "deploy this image")
    .option("--port <port>", "the port the app listens on", wholeNumber)
    .option("--replicas <count>", "how many instances", wholeNumber)
    .option("--strategy <strategy>", "rolling, blue-green, canary or immediate (default: the one in berth.toml)")
    .option("--message <text>", "a note kept with the release")
    .option("--detach", "do not watch the rollout")
    .action(async (folder, options, command) => {
      const context = contextOf(command);
      const root = resolve(context.cwd, folder);
      requireFolder(root);
      const toml = readBerthToml(root);
      const name = options.app ?? toml?.app;
      if (name === undefined)
        throw new CommandFailure("Which app?", EXIT.usage, "`berth init` writes a berth.toml, or give --app.");
      await deploy(context, { root, toml, name, ...options });
    });
}

export interface Deployment {
  readonly root: string;
  readonly toml: BerthToml | null;
  readonly name: string;
  readonly image?: string | undefined;
  readonly port?: number | undefined;
  readonly replicas?: number | undefined;
  readonly strategy?: string | undefined;
  readonly message?: string | undefined;
  readonly detach?: true | undefined;
}

async function deploy(context: Context, wanted: Deployment): Promise<void> {
  const startedMs = Date.now();
  const { app, rollout } = await startDeployment(context, wanted);
  if (wanted.detach === true) {
    return context.out.result(rollout, () =>
      context.out.line(`v${rollout.toVersion} is rolling out: \`berth rollout watch ${app.name}\` follows it.`),
    );
  }
  concludeRollout(context, app, await watchRollout(context, app, rollout), startedMs);
}

/** Packs, makes the app if it is new, uploads, and creates the release; returns its rollout. */
export async function startDeployment(context: Context, wanted: Deployment): Promise<{ app: App; rollout: Rollout }> {
  const { root, toml, name } = wanted;
  const source = wantedSource(toml, root, wanted.image);
  const bundle = source.kind === "folder" ? await packFolder(source.folder) : null;
  const spec = releaseSpecOf(toml, source, bundle, wanted.port);
  // The file is the whole truth where there is one; without it the API rolls as it did the last time.
  const plan = planOf(toml === null ? undefined : (toml.rollout ?? {}), wanted.strategy);
  const deadlineMs = toml?.rollout?.deadline;
  const replicas = wanted.replicas ?? toml?.replicas;
  const { app, isNew } = await findOrCreateApp(context, name, toml, replicas);
  if (bundle !== null) {
    context.out.line(`Uploading ${bundle.files} files (${bytes(bundle.bytes.byteLength)})`);
    await context.api.upload(appPath(app.id, `/bundles/${bundle.hash}`), bundle.bytes);
  }
  const request = {
    spec,
    ...(plan === undefined ? {} : { plan }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(wanted.message === undefined ? {} : { message: wanted.message }),
  };
  const accepted = await context.api
    .call(Accepted, "POST", appPath(app.id, "/releases"), request)
    .catch(async (cause: unknown) => {
      if (isNew) await takeBack(context, app);
      throw cause;
    });
  if (accepted.rollout === null)
    throw new CommandFailure("The API accepted the release without a rollout", EXIT.failed);
  context.out.line(
    `Deploying ${app.name} v${accepted.rollout.toVersion} (${accepted.rollout.replicas} × ${describeSource(source)})`,
  );
  return { app, rollout: accepted.rollout };
}

const describeSource = (source: ReturnType<typeof wantedSource>): string =>
  source.kind === "image" ? source.reference : source.folder;

async function findOrCreateApp(
  context: Context,
  name: string,
  toml: BerthToml | null,
  replicas: number | undefined,
): Promise<{ app: App; isNew: boolean }> {
  try {
    return { app: await context.api.call(App, "GET", appPath(name)), isNew: false };
  } catch (cause) {
    if (!(cause instanceof CommandFailure) || cause.exitCode !== EXIT.notFound) throw cause;
  }
  const app = await context.api.call(App, "POST", "/v1/apps", {
    name,
    ...(replicas === undefined ? {} : { replicas }),
    ...(toml?.project === undefined ? {} : { project: toml.project }),
    ...(toml?.regions === undefined ? {} : { regions: toml.regions }),
  });
  context.out.line(`Made the app ${app.name}: ${app.url}`);
  return { app, isNew: true };
}

/** An app made for a release that was refused would be half of a deployment. The refusal is what is told, come what may. */
async function takeBack(context: Context, app: App): Promise<void> {
  await context.api.call(App, "DELETE", appPath(app.id)).catch(() => undefined);
}
