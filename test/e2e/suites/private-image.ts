// Images behind a password, on the real stack: pulled with the team's stored credential, refused with the reason without one.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { docker, freePort, makeBoxImage, until } from "../../node-agent/agent/world.ts";
import { leaveClean, sharedWorld } from "../shared-world.ts";
import { eventually, type World } from "../support.ts";

const PASSWORD = "opensesame";
/** The password by bcrypt, the one form that the registry reads. */
const HTPASSWD = "puller:$2b$04$9L92P7d0TC7sK/GifFQFm.Y9gt/yUrHHTleDPbYfCAsFBAVx93pa6\n";

let world: World;
let registry: ChildProcess;
let host: string;
let folder: string;
let image: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-private-"));
  host = `127.0.0.1:${await freePort()}`;
  image = `${host}/shop/web:1`;
  writeFileSync(join(folder, "htpasswd"), HTPASSWD);
  const config = [
    "version: 0.1",
    "log: {level: error}",
    `storage: {filesystem: {rootdirectory: ${folder}/data}}`,
    `http: {addr: "${host}"}`,
    `auth: {htpasswd: {realm: berth, path: ${folder}/htpasswd}}`,
  ];
  writeFileSync(join(folder, "config.yml"), `${config.join("\n")}\n`);
  registry = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
  await until("the registry", () =>
    fetch(`http://${host}/v2/`).then(
      ({ status }) => status === 401,
      () => false,
    ),
  );
  await makeBoxImage(image, "behind a password");
  const authconfig = { username: "puller", password: PASSWORD, serveraddress: host };
  const pushing = await docker.getImage(image).push({ authconfig });
  await new Promise((resolve, reject) =>
    docker.modem.followProgress(pushing, (error: Error | null, events) => (error ? reject(error) : resolve(events))),
  );
  await docker.getImage(image).remove({ force: true });
  world = await sharedWorld();
});
afterAll(async () => {
  // The Engine keeps an image that a container is of, and that one ends a moment after its app.
  await leaveClean(world);
  for (const { Id, RepoDigests, RepoTags } of await docker.listImages()) {
    const made = [...(RepoDigests ?? []), ...(RepoTags ?? [])].some((name) => name.startsWith(host));
    if (made)
      await eventually(
        () =>
          docker
            .getImage(Id)
            .remove({ force: true })
            .catch((error: { statusCode?: number }) => {
              // Its node may have cleared it away meanwhile.
              if (error.statusCode !== 404) throw error;
            }),
        () => true,
      );
  }
  registry?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const deploy = () => world.berth(["deploy", "--app", "private", "--image", image, "--port", "8080"]);

test("without a credential the rollout fails and says that the registry wants one", async () => {
  const ran = await deploy();
  expect(ran.exitCode).toBe(1);
  expect(ran.stderr).toMatch(/authentication|authorization|unauthorized|credential/i);
  await eventually(
    () => world.visit("private"),
    ({ status }) => status === 503,
  );
});

test("with a wrong password it fails as well, and the password is shown nowhere", async () => {
  const login = await world.berth(["registry", "login", host, "-u", "puller"], "wrong-secret-word\n");
  expect(login, login.stderr).toMatchObject({ exitCode: 0 });
  const ran = await deploy();
  expect(ran.exitCode).toBe(1);
  expect(ran.stdout + ran.stderr).not.toContain("wrong-secret-word");
});

test("with the right one it is pulled by digest and serves", async () => {
  expect(await world.berth(["registry", "login", host, "-u", "puller"], `${PASSWORD}\n`)).toMatchObject({
    exitCode: 0,
  });
  const ran = await deploy();
  expect(ran, ran.stderr).toMatchObject({ exitCode: 0 });
  const answer = await eventually(
    () => world.visit("private"),
    ({ status }) => status === 200,
  );
  expect(answer.body).toContain("behind a password");
  const [release] = JSON.parse((await world.berth(["releases", "private", "--json"])).stdout);
  expect(release.digest).toMatch(/^sha256:/);
});
