// A Docker Engine of a test's own: a second dockerd with its own folders and socket, so that it can be ended and started.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { freePort, until } from "./world.ts";

const run = promisify(execFile);

export interface OwnEngine {
  readonly docker: Docker;
  /** For the agent: where this Engine is. */
  readonly environment: { readonly DOCKER_HOST: string };
  start(): Promise<void>;
  /** Resolves when dockerd is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Also of what it ran. */
  close(): Promise<void>;
}

export const FIRST_SUBUID = 200_000;

/** Which of this host's numbers its containers' users are: said to dockerd alone, whatever this host's own files say. */
function withSubordinates(dir: string): string[] {
  const path = join(dir, "subordinates");
  // Whose root is nobody here has to come through to its files.
  chmodSync(dir, 0o711);
  writeFileSync(path, `nobody:${FIRST_SUBUID}:65536\n`);
  const mounts = ["/etc/subuid", "/etc/subgid"].map((file) => `touch ${file}; mount --bind ${path} ${file}`);
  return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", `${mounts.join("; ")}; exec "$@"`, "sh"];
}

const inside = (netns: string): string[] => (netns === "" ? [] : ["nsenter", `--net=${netns}`]);

/** With live-restore it leaves its mounts for the next one. */
async function unmountBelow(dir: string): Promise<void> {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const mount of mounts.filter((path) => path.startsWith(dir)).reverse()) {
    await run("umount", ["-l", mount]).catch(() => undefined);
  }
}

/** dataRoot: on a disk of its own, for instance. runtimes: names under which it knows runc, too. netns: the file of a network namespace that is all its own, firewall and all. addressPool: all that it has for networks, in /24, of which its own docker0 takes the first; only with a netns. userNamespaces: root in a container is FIRST_SUBUID here. */
export async function startOwnEngine({
  liveRestore = false,
  dataRoot = "",
  netns = "",
  addressPool = "",
  runtimes = [] as readonly string[],
  userNamespaces = false,
} = {}): Promise<OwnEngine> {
  const dir = mkdtempSync(join(tmpdir(), "berth-engine-"));
  const [socket, data] = [join(dir, "docker.sock"), dataRoot === "" ? join(dir, "data") : dataRoot];
  mkdirSync(data, { recursive: true });
  // A bridge of its own, no address pools and no iptables: with no bridge, or with pools at its second start, dockerd removes
  // docker0, which is the other Engine's. For its networks it passes over ranges that this host has routes to.
  const number = (await freePort()) % 10_000;
  const bridge = `be${process.pid % 1_000_000}x${number}`;
  if (netns === "") {
    await run("ip", ["link", "add", bridge, "type", "bridge"]);
    // A port is a number that nobody else on this host has: the range is nobody else's either.
    await run("ip", ["addr", "add", `10.${214 + Math.floor(number / 250)}.${number % 250}.1/26`, "dev", bridge]);
  }
  const args = ["-H", `unix://${socket}`, "--data-root", data, "--exec-root", join(dir, "exec")];
  args.push("--pidfile", join(dir, "docker.pid"));
  if (netns === "") args.push("--bridge", bridge, "--iptables=false", "--ip6tables=false");
  if (addressPool !== "") args.push("--default-address-pool", `base=${addressPool},size=24`);
  args.push("--shutdown-timeout", "3", ...(liveRestore ? ["--live-restore"] : []));
  const enter = [...inside(netns), ...(userNamespaces ? withSubordinates(dir) : [])];
  if (userNamespaces) args.push("--userns-remap", "nobody:nogroup");
  args.push(...runtimes.flatMap((name) => ["--add-runtime", `${name}=runc`]));
  const docker = new Docker({ socketPath: socket });
  let dockerd: ChildProcess | null = null;
  const engine: OwnEngine = {
    docker,
    environment: { DOCKER_HOST: `unix://${socket}` },
    async start() {
      const out = openSync(join(dir, "dockerd.log"), "a");
      const [program = "", ...rest] = [...enter, "dockerd", ...args];
      dockerd = spawn(program, rest, { stdio: ["ignore", out, out], detached: true });
      await until(
        () => `dockerd: ${readFileSync(join(dir, "dockerd.log"), "utf8").slice(-1_000)}`,
        () =>
          docker.ping().then(
            () => true,
            () => false,
          ),
        90_000,
      );
    },
    async end(signal) {
      const ended = new Promise((resolve) => dockerd?.once("exit", resolve));
      dockerd?.kill(signal);
      await ended;
      dockerd = null;
      // Its containerd dies with it; where nobody reaps it, the next dockerd would take the zombie for a living one.
      await rm(join(dir, "exec", "containerd", "containerd.pid"), { force: true });
    },
    async close() {
      if (dockerd === null) await engine.start();
      for (const { Id } of await docker.listContainers({ all: true }))
        await docker.getContainer(Id).remove({ force: true });
      await docker.pruneNetworks();
      await engine.end("SIGTERM");
      await unmountBelow(dir);
      await run("ip", ["link", "del", bridge]).catch(() => undefined);
      await rm(dir, { recursive: true, force: true });
    },
  };
  await engine.start();
  return engine;
}
