// The Engine on a bare Debian: the distribution's is installed where none is, and one that others use is shared with them and left to them.
import { execFileSync } from "node:child_process";
import { request as httpRequest } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, writeApp } from "../e2e/support.ts";
import type { BareSystem } from "./bare-system.ts";
import { Installation } from "./installation.ts";

let here: Installation;
let server: BareSystem;

beforeAll(async () => {
  here = await Installation.create();
  server = await here.network.boot({ engine: true });
  // The network has no way out; apt asks through this machine, as it does through an operator's proxy.
  const proxy = await here.network.serve((asked, answer) => {
    const onward = httpRequest(asked.url ?? "", { headers: asked.headers }, (theirs) => {
      answer.writeHead(theirs.statusCode ?? 502, theirs.headers);
      theirs.pipe(answer);
    });
    onward.on("error", () => answer.writeHead(502).end());
    onward.end();
  });
  await server.sh(`echo 'Acquire::http::Proxy "${proxy}";' >/etc/apt/apt.conf.d/00proxy`);
}, 400_000);
afterAll(() => here?.end());

test("is installed where there is none, and the node is ready with it", async () => {
  expect((await server.sh("command -v docker dockerd")).out).toBe("");
  const ran = await here.install(server, `--token ${await here.token()} --name engined`);
  expect(ran.out).toContain("installing the distribution's Docker Engine");
  expect(ran, ran.out).toMatchObject({ code: 0 });
  const all = await eventually(
    () => here.nodes(),
    (found) => found.some(({ phase }) => phase === "ready"),
  );
  expect(all).toMatchObject([{ name: "engined", runtime: "docker" }]);
  expect((await server.sh("docker info --format '{{.LiveRestoreEnabled}}'")).out.trim()).toBe("true");
}, 300_000);

const othersBoxes = async (): Promise<string> =>
  (
    await server.sh(
      "docker inspect others --format '{{.Id}} {{.State.Running}} {{.State.StartedAt}} {{.RestartCount}}'",
    )
  ).out;

test("what others run there stays untouched: by installing again, by instances beside it, and by taking Berth away", async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-others-"));
  execFileSync("tar", ["-cf", join(folder, "box.tar"), "-C", "/bin", "busybox"]);
  await server.sh("docker import - others:1", readFileSync(join(folder, "box.tar")));
  rmSync(folder, { recursive: true });
  // A label of Berth's with another node's name is no label of this one's.
  const label = "--label berth.node=node_of_another_platform";
  const started = await server.sh(`docker run -d --name others ${label} others:1 /busybox sleep 100000`);
  expect(started, started.out).toMatchObject({ code: 0 });
  const before = await othersBoxes();
  expect(before).toMatch(/ true /);

  const again = await server.sh(`curl -fsSL ${here.control}/install | sh`);
  expect(again.out).toContain("Docker is here already and is left as it is");
  const app = writeApp(here.world.home, "beside", { "server.mjs": SERVER }, '[resources]\nmemory = "64MB"\n');
  const deployed = await here.world.berth(["deploy", app]);
  expect(deployed, deployed.stderr).toMatchObject({ exitCode: 0 });
  const ours = "docker ps -q --filter label=berth.instance";
  expect((await server.sh(ours)).out).not.toBe("");

  const away = await server.sh(`curl -fsSL ${here.control}/install | sh -s -- --uninstall --containers stop`);
  expect(away, away.out).toMatchObject({ code: 0 });
  expect((await server.sh(ours)).out).toBe("");
  expect(await othersBoxes()).toBe(before);
}, 180_000);

const SERVER = `import { createServer } from "node:http";
createServer((_, response) => response.end("beside")).listen(process.env.PORT);
`;
