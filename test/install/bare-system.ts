// A bare Debian with systemd as its first process, in a container and on a network of its own; made once by debootstrap.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, connect, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { randomBytes } from "node:crypto";
import { eventually } from "../e2e/support.ts";
import { hierarchies, ownedByThisRun, removeLeftovers } from "./leftovers.ts";

const run = promisify(execFile);
const IMAGE = "berth-bare:bookworm";
const PACKAGES = "systemd,systemd-sysv,curl,ca-certificates,iproute2";
/** What systemd needs as the first process: mounts, addresses, and control groups, of which it sees its own alone. */
const FREEDOM = [
  ...["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cgroupns=private"],
  ...["--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"],
];
/**
 * Its groups are its own to write, and no more than those: where the folder above them (control groups of version 1) were not read-only,
 * systemd would mount what else the kernel knows, and this machine would keep those hierarchies.
 */
const START = [
  'grep -E " cgroup2? " /proc/mounts | while read -r _ at _; do mount -o remount,bind,rw "$at"; done',
  'grep -q " /sys/fs/cgroup cgroup2 " /proc/mounts || mount -o remount,ro /sys/fs/cgroup',
  "exec /sbin/init",
].join("; ");
/** What an Engine needs beyond that: to write in /proc/sys, devices for its containers, and a disk that is no overlay. */
const ENGINE_FREEDOM = [
  ...["--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm"],
  ...["--cap-add=DAC_READ_SEARCH", "--cap-add=SYS_PTRACE", "--volume=/var/lib/docker"],
];
const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

export interface Ran {
  readonly code: number;
  readonly out: string;
}

/** Builds the image where this machine's Engine does not have it yet; takes a minute or two then. */
export async function prepareImage(): Promise<void> {
  if (
    await run("docker", ["image", "inspect", IMAGE]).then(
      () => true,
      () => false,
    )
  )
    return;
  const folder = mkdtempSync(join(tmpdir(), "berth-bare-"));
  try {
    const root = join(folder, "rootfs");
    const mirror = process.env.DEBIAN_MIRROR ?? "http://deb.debian.org/debian";
    await run("debootstrap", ["--variant=minbase", `--include=${PACKAGES}`, "bookworm", root, mirror], {
      maxBuffer: OUTPUT_MAX_BYTES,
    });
    await run("tar", ["-C", root, "-cf", join(folder, "rootfs.tar"), "."]);
    rmSync(root, { recursive: true });
    writeFileSync(join(folder, "Dockerfile"), 'FROM scratch\nADD rootfs.tar /\nCMD ["/sbin/init"]\n');
    await run("docker", ["build", "-q", "-t", IMAGE, folder], { maxBuffer: OUTPUT_MAX_BYTES });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export class BareNetwork {
  readonly #name: string;
  readonly #servers: Server[] = [];
  readonly #systems: BareSystem[] = [];
  readonly #hierarchies = hierarchies();
  /** This machine as the systems see it. */
  readonly gateway: string;
  readonly gateway6: string;

  private constructor(name: string, gateway: string, gateway6: string) {
    this.#name = name;
    this.gateway = gateway;
    this.gateway6 = gateway6;
  }

  /** nat: with a way out, under this machine's address, and none in. Else without any: what a system gets, it gets from here. */
  static async create({ nat = false } = {}): Promise<BareNetwork> {
    await removeLeftovers();
    const id = randomBytes(4).toString("hex");
    const name = `berth-install-${id}`;
    const prefix = `fd00:${id.slice(0, 4)}:${id.slice(4)}:`;
    const six = ["--ipv6", "--subnet", `${prefix}:/64`, "--gateway", `${prefix}:1`];
    await run("docker", ["network", "create", ...(nat ? [] : ["--internal"]), ...six, ...ownedByThisRun, name]);
    const format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
    const { stdout } = await run("docker", ["network", "inspect", name, "--format", format]);
    const four = stdout.split(" ").find((address) => address.includes(".")) ?? "";
    return new BareNetwork(name, four, `${prefix}:1`);
  }

  /** What this machine reaches, for the systems too: its URL. at: the port; 0: any. */
  forward(to: string, host = this.gateway, at = 0): Promise<string> {
    const { port, hostname, protocol } = new URL(to);
    const server = createServer((visitor) => {
      const inner = connect(Number(port), hostname);
      visitor.on("error", () => inner.destroy());
      inner.on("error", () => visitor.destroy());
      visitor.pipe(inner).pipe(visitor);
    });
    return this.#listen(server, host, { at, protocol });
  }

  serve(listener: RequestListener): Promise<string> {
    return this.#listen(createHttpServer(listener), this.gateway);
  }

  async #listen(server: Server, host: string, { at = 0, protocol = "http:" } = {}): Promise<string> {
    await new Promise<void>((resolve) => server.listen(at, host, resolve));
    this.#servers.push(server);
    const { port } = server.address() as AddressInfo;
    return `${protocol}//${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** engine: it may run one of its own. */
  async boot({ engine = false } = {}): Promise<BareSystem> {
    const name = `${this.#name}-${randomBytes(3).toString("hex")}`;
    const mounts = ["--tmpfs", "/run", "--tmpfs", "/tmp:exec", "--tmpfs", "/run/lock"];
    const system = new BareSystem(name);
    this.#systems.push(system);
    const freedom = engine ? [...FREEDOM, ...ENGINE_FREEDOM] : FREEDOM;
    const place = ["--network", this.#name, "--name", name, ...ownedByThisRun];
    await run("docker", ["run", "-d", ...freedom, ...place, ...mounts, IMAGE, "sh", "-c", START]);
    await eventually(
      () => system.sh("systemctl is-system-running"),
      ({ out }) => /running|degraded/.test(out),
    );
    return system;
  }

  async end(): Promise<void> {
    for (const server of this.#servers) server.close();
    await Promise.all(this.#systems.map((system) => system.end()));
    await run("docker", ["network", "rm", this.#name]).catch(() => undefined);
    const [before, after] = [this.#hierarchies.join(" "), hierarchies().join(" ")];
    if (before !== after) throw new Error(`this machine's control groups were ${before}, and are ${after}`);
  }
}

export class BareSystem {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  /** As root. Both outputs, as a person would see them. */
  sh(command: string, stdin?: string | Buffer): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = spawn("docker", ["exec", "-i", this.#name, "sh", "-c", `{ ${command}\n} 2>&1`]);
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (out += chunk.toString()));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? 1, out }));
      child.stdin.end(stdin ?? "");
    });
  }

  async address(): Promise<string> {
    const { stdout } = await run("docker", [
      "inspect",
      this.#name,
      "--format",
      "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    ]);
    return stdout.trim();
  }

  /** Its folder, as a disk image would carry it to another server. */
  async copyTo(other: BareSystem, folder: string): Promise<void> {
    const { stdout } = await run("docker", ["exec", this.#name, "tar", "-cf", "-", folder], {
      encoding: "buffer",
      maxBuffer: OUTPUT_MAX_BYTES * 8,
    });
    const { code, out } = await other.sh("tar -xf - -C /", stdout);
    if (code !== 0) throw new Error(out);
  }

  /** A rule of a firewall in front of it: what it sends and the rule names is dropped without a word. */
  async drop(rule: readonly string[]): Promise<void> {
    await this.#rule(["OUTPUT", ...rule, "-j", "DROP"]);
  }

  /** A router in front of it: who dials it hears nothing. */
  async hide(): Promise<void> {
    await this.#rule(["INPUT", "-i", "eth0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]);
  }

  async #rule(rule: readonly string[]): Promise<void> {
    const { stdout } = await run("docker", ["inspect", this.#name, "--format", "{{.State.Pid}}"]);
    await run("nsenter", ["--net", "--target", stdout.trim(), "iptables", "-A", ...rule]);
  }

  async end(): Promise<void> {
    await run("docker", ["rm", "-f", "-v", this.#name]).catch(() => undefined);
  }
}
