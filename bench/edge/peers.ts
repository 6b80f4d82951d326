// Debian's HAProxy, nginx and Caddy as reverse proxies of one upstream, each with one worker on one core, and that upstream.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ended } from "../shared/gateway-world.ts";
import { freePort } from "../shared/edge-world.ts";

export interface Server {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** 1 KB. */
export const ANSWER = `${"hello from the upstream, ".padEnd(1_023, "and again, ")}\n`;

/** nginx that answers from its configuration: faster than anything that is measured in front of it. */
export function startUpstream(cpu: number): Promise<Server> {
  return start("upstream", cpu, (port, dir) => ({
    command: ["nginx", "-c", join(dir, "conf"), "-e", join(dir, "error.log")],
    config: `${nginxMain(dir)}
      server { listen 127.0.0.1:${port} backlog=4096; location / { default_type text/plain; return 200 "${ANSWER.trimEnd()}\\n"; } } }`,
  }));
}

export function startNginx(cpu: number, upstreamPort: number): Promise<Server> {
  return start("nginx", cpu, (port, dir) => ({
    command: ["nginx", "-c", join(dir, "conf"), "-e", join(dir, "error.log")],
    config: `${nginxMain(dir)}
      upstream app { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
      server { listen 127.0.0.1:${port} backlog=4096;
        location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
          proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } } }`,
  }));
}

const nginxMain = (dir: string): string => `worker_processes 1; daemon off; pid ${join(dir, "pid")};
  events { worker_connections 4096; }
  http { access_log off; keepalive_requests 1000000000; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
    fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;`;

export function startHaproxy(cpu: number, upstreamPort: number): Promise<Server> {
  return start("haproxy", cpu, (port, dir) => ({
    command: ["haproxy", "-db", "-f", join(dir, "conf")],
    config: `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend app
backend app
  server one 127.0.0.1:${upstreamPort} maxconn 512
`,
  }));
}

export function startCaddy(cpu: number, upstreamPort: number): Promise<Server> {
  return start("caddy", cpu, (port, dir) => ({
    command: ["caddy", "run", "--config", join(dir, "conf"), "--adapter", "caddyfile"],
    config: `{
  admin off
  auto_https off
  storage file_system ${dir}/storage
  log {
    output discard
  }
}
http://:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstreamPort}
}
`,
  }));
}

type Recipe = (port: number, dir: string) => { readonly command: readonly string[]; readonly config: string };

async function start(name: string, cpu: number, recipe: Recipe): Promise<Server> {
  const dir = await mkdtemp(join(tmpdir(), `berth-proxy-${name}-`));
  const port = await freePort();
  const { command, config } = recipe(port, dir);
  await writeFile(join(dir, "conf"), config);
  // GOMAXPROCS: Caddy would otherwise keep threads for cores that it may not use.
  const environment = { ...process.env, GOMAXPROCS: "1", XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
  const child = spawn("taskset", ["-c", String(cpu), ...command], { stdio: "ignore", env: environment });
  await answering(name, port, child);
  return {
    name,
    port,
    pid: child.pid as number,
    stop: async () => {
      await ended(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function answering(name: string, port: number, child: ChildProcess): Promise<void> {
  const untilMs = Date.now() + 10_000;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > untilMs) throw new Error(`${name} does not listen; is it installed?`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
