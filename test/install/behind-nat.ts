// A node behind NAT: a network of its own whose router lets it out under one address and nobody in; and an agent there.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ip, processesIn } from "../../dev/network/namespaces.ts";
import { bundleAgent } from "../../node-agent/build/bundle-agent.ts";
import type { World } from "../e2e/support.ts";

const run = promisify(execFile);
const INSIDE = "10.212.7";

export class BehindNat {
  readonly #tag: string;
  readonly #dir: string;
  #agent: ChildProcess | null = null;
  #rule: readonly string[] | null = null;
  #watcher: ChildProcess | null = null;
  /** The one address from which all of it comes. */
  readonly outerAddress: string;
  readonly innerAddress = `${INSIDE}.2`;

  private constructor(tag: string, dir: string, outerAddress: string) {
    this.#tag = tag;
    this.#dir = dir;
    this.outerAddress = outerAddress;
  }

  /** On the bridge of the stack's nodes, which has a network of its own. */
  static async create(world: World): Promise<BehindNat> {
    const host = world.stack.agents[0]?.network?.hostAddress ?? "";
    const tag = `${process.pid}`;
    const outer = `${host.slice(0, host.lastIndexOf("."))}.200`;
    const nat = new BehindNat(tag, join(world.home, "hidden"), outer);
    mkdirSync(nat.#dir);
    const listed = JSON.parse(await ip("-j", "addr")) as { ifname: string; addr_info: { local: string }[] }[];
    const bridge = listed.find(({ addr_info }) => addr_info.some(({ local }) => local === host))?.ifname ?? "";
    // Where an Engine runs, this machine drops what passes its bridges from one node to another.
    nat.#rule = ["FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"];
    nat.#watcher = watchOver([nat.#inner, nat.#router], nat.#rule);
    await run("iptables", ["-I", ...nat.#rule]);
    const [router, inner] = [nat.#router, nat.#inner];
    for (const name of [router, inner]) {
      await ip("netns", "add", name);
      await ip("-n", name, "link", "set", "lo", "up");
    }
    await ip("link", "add", `bn${tag}`, "type", "veth", "peer", "name", "wan", "netns", router);
    await ip("link", "set", `bn${tag}`, "master", bridge, "up");
    await ip("-n", router, "addr", "add", `${outer}/24`, "dev", "wan");
    await ip("-n", router, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", inner);
    await ip("-n", router, "addr", "add", `${INSIDE}.1/24`, "dev", "lan");
    await ip("-n", inner, "addr", "add", `${INSIDE}.2/24`, "dev", "eth0");
    for (const [name, link] of [
      [router, "wan"],
      [router, "lan"],
      [inner, "eth0"],
    ] as const)
      await ip("-n", name, "link", "set", link, "up");
    await ip("-n", inner, "route", "add", "default", "via", `${INSIDE}.1`);
    const rules = [
      "echo 1 >/proc/sys/net/ipv4/ip_forward",
      "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE",
      "iptables -A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
      "iptables -A FORWARD -i wan -j DROP",
      "iptables -A INPUT -i wan -p tcp -m conntrack --ctstate NEW -j DROP",
    ];
    await run("ip", ["netns", "exec", router, "sh", "-ec", rules.join("\n")]);
    return nat;
  }

  get #inner(): string {
    return `bi-${this.#tag}`;
  }

  get #router(): string {
    return `br-${this.#tag}`;
  }

  async join(world: World, name: string): Promise<void> {
    const bundle = join(this.#dir, "agent.mjs");
    await bundleAgent(bundle, { version: "1.0.0" });
    const { stdout } = await world.berth(["nodes", "token", "--json"]);
    const { token } = JSON.parse(stdout) as { token: string };
    const { body } = await world.api("GET", "/v1/nodes");
    const control = `http://${world.stack.agents[0]?.network?.hostAddress}:${new URL(world.stack.controlUrl).port}`;
    const log = openSync(join(this.#dir, "agent.log"), "a");
    const options = [
      "--control",
      control,
      "--name",
      name,
      "--region",
      body.items[0].region,
      "--failure-domain",
      "rack-hidden",
    ];
    const place = ["--gateway-host", this.innerAddress, "--reach", "relay", "--runtime", "process"];
    const args = ["netns", "exec", this.#inner, process.execPath, bundle, "run", "--dir", join(this.#dir, "node")];
    this.#agent = spawn("ip", [...args, ...options, ...place], {
      stdio: ["ignore", log, log],
      env: { ...process.env, BERTH_JOIN_TOKEN: token },
    });
  }

  /** What anybody else gets who dials it: nothing. */
  async dialled(address: string): Promise<boolean> {
    const reached = run("curl", ["-s", "-m", "1", `http://${address}:7070/.berth/health`]);
    // A proxy on the way out of this machine may answer for addresses that nobody has.
    return reached.then(
      ({ stdout }) => stdout.includes('"status":"ok"'),
      () => false,
    );
  }

  /** Its way out is cut, without a word to anybody. */
  async cut(): Promise<void> {
    await ip("-n", this.#router, "link", "set", "wan", "down");
  }

  async end(): Promise<void> {
    this.#agent?.kill("SIGKILL");
    for (const pid of await processesIn(this.#inner)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended in between.
      }
    }
    if (this.#rule !== null) await run("iptables", ["-D", ...this.#rule]);
    for (const name of [this.#inner, this.#router]) await ip("netns", "del", name).catch(() => undefined);
    this.#watcher?.kill("SIGKILL");
  }
}

/** Outlives this process by a second: where it was killed, this removes what it could not. */
function watchOver(namespaces: readonly string[], rule: readonly string[]): ChildProcess {
  const clean = namespaces.map((name) => `ip netns pids ${name} | xargs -r kill -9; sleep 0.2; ip netns del ${name}`);
  const until = `while kill -0 ${process.pid}; do sleep 1; done`;
  const script = [until, `iptables -D ${rule.join(" ")}`, ...clean].join("; ");
  const watcher = spawn("sh", ["-c", script], { detached: true, stdio: "ignore" });
  watcher.unref();
  return watcher;
}
