// What the tests of installing share: a control plane that serves the installation, a mirror of Node's releases, and bare systems.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { bundleAgent, bundleLauncher } from "../../node-agent/build/bundle-agent.ts";
import { installationOf, installScript } from "../../node-agent/build/installer.ts";
import { choosePort } from "../../dev/ports.ts";
import { createWorld, type World } from "../e2e/support.ts";
import { BareNetwork, prepareImage, type BareSystem, type Ran } from "./bare-system.ts";

const RELEASE = `node-v${process.versions.node}-linux-x64`;

type Wish = { readonly network?: BareNetwork } & NonNullable<Parameters<typeof createWorld>[0]>;

export class Installation {
  readonly world: World;
  readonly network: BareNetwork;
  /** The control plane as the systems see it, and where they get Node from. */
  readonly control: string;
  readonly nodeUrl: string;

  private constructor(world: World, network: BareNetwork, control: string, nodeUrl: string) {
    this.world = world;
    this.network = network;
    this.control = control;
    this.nodeUrl = nodeUrl;
  }

  /** network: where the systems are, and its end is this one's affair; absent: one without a way out. */
  static async create({ network: given, ...stack }: Wish = {}): Promise<Installation> {
    await prepareImage();
    const network = given ?? (await BareNetwork.create());
    const port = await choosePort([]);
    // What the platform calls itself is in what it hands out, whatever name a request chose.
    const control = `http://${network.gateway}:${port}`;
    const controlVars = { CONTROL_ORIGIN: control, ...stack.controlVars };
    const world = await createWorld({ agents: 0, ...stack, controlVars });
    await network.forward(world.stack.controlUrl, network.gateway, port);
    const mirror = await network.serve(nodeMirror(join(world.home, "mirror")));
    const made = new Installation(world, network, control, `${mirror}/dist`);
    await made.#publish();
    return made;
  }

  async #publish(): Promise<void> {
    const dist = join(this.world.home, "dist");
    mkdirSync(dist);
    const files = {
      agent: join(dist, "agent.mjs"),
      launcher: join(dist, "launcher.mjs"),
      script: join(dist, "install.sh"),
    };
    await bundleAgent(files.agent, { version: "1.0.0" });
    await bundleLauncher(files.launcher);
    writeFileSync(files.script, installScript());
    const bytes = readFileSync(join(this.world.home, "mirror/node.tar.gz"));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const node = { version: process.versions.node, x64: sha256, arm64: sha256, url: this.nodeUrl };
    writeFileSync(join(dist, "install.json"), JSON.stringify({ ...installationOf(files, "1.0.0"), node }));
    const ran = await this.world.berth(["nodes", "installer", dist]);
    if (ran.exitCode !== 0) throw new Error(ran.stderr);
  }

  async token(): Promise<string> {
    const { stdout } = await this.world.berth(["nodes", "token", "--json"]);
    return (JSON.parse(stdout) as { token: string }).token;
  }

  /** The one line. */
  install(on: BareSystem, options: string, environment = ""): Promise<Ran> {
    return on.sh(`curl -fsSL ${this.control}/install | ${environment} sh -s -- ${options}`);
  }

  async nodes(): Promise<
    { id: string; name: string; phase: string; runtime: string; gatewayUrl: string; conditions: { kind: string }[] }[]
  > {
    return (await this.world.api("GET", "/v1/nodes")).body.items;
  }

  async end(): Promise<void> {
    await this.network.end().finally(() => this.world.end());
  }
}

/** Has the one release that runs this test. */
function nodeMirror(folder: string): RequestListener {
  mkdirSync(join(folder, RELEASE, "bin"), { recursive: true });
  cpSync(process.execPath, join(folder, RELEASE, "bin/node"));
  const archive = join(folder, "node.tar.gz");
  execFileSync("tar", ["-C", folder, "-czf", archive, RELEASE]);
  return (request, response) => {
    const known = request.url === `/dist/v${process.versions.node}/${RELEASE}.tar.gz`;
    response.writeHead(known ? 200 : 404);
    response.end(known ? readFileSync(archive) : "");
  };
}

/** Which node a system is, by its identity. */
export const nodeOf = async (on: BareSystem): Promise<string> =>
  /"node":"([a-z0-9_]+)"/.exec((await on.sh("cat /var/lib/berth/identity.json")).out)?.[1] ?? "";
