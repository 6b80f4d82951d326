// What one team pulled with its password is on the node's disk; another team's container is not made of it. A real registry behind a password.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { typeid } from "typeid-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import { desired, docker, freePort, makeBoxImage, makeWorld, until, untilStatus, type World } from "./world.ts";

const PASSWORD = "opensesame";
/** The password by bcrypt, the one form that the registry reads. */
const HTPASSWD = "puller:$2b$04$9L92P7d0TC7sK/GifFQFm.Y9gt/yUrHHTleDPbYfCAsFBAVx93pa6\n";
const [teamA, teamB] = [typeid("team").toString(), typeid("team").toString()];
let world: World;
let registry: ChildProcess;
let folder: string;
let host: string;
let image: string;
let digest: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "berth-others-"));
  host = `127.0.0.1:${await freePort()}`;
  image = `${host}/a/web:1`;
  writeFileSync(join(folder, "htpasswd"), HTPASSWD);
  writeFileSync(
    join(folder, "config.yml"),
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: "${host}"}\nauth: {htpasswd: {realm: berth, path: ${folder}/htpasswd}}\n`,
  );
  registry = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
  await until("the registry", () =>
    fetch(`http://${host}/v2/`).then(
      ({ status }) => status === 401,
      () => false,
    ),
  );
  await makeBoxImage(image, "team A's own");
  const pushing = await docker.getImage(image).push({ authconfig: { username: "puller", password: PASSWORD, serveraddress: host } }); // prettier-ignore
  await new Promise((resolve, reject) =>
    docker.modem.followProgress(pushing, (error: Error | null, events) => (error ? reject(error) : resolve(events))),
  );
  await docker.getImage(image).remove({ force: true });
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 });
});
afterAll(async () => {
  await world?.close();
  for (const { Id, RepoDigests, RepoTags } of await docker.listImages()) {
    const made = [...(RepoDigests ?? []), ...(RepoTags ?? [])].some((name) => name.startsWith(host));
    if (made) await docker.getImage(Id).remove({ force: true });
  }
  registry?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
  expect(world.peer.faults).toEqual([]);
});

const wanting = (team: string, reference: string, password?: string): DesiredInstance => {
  const wanted = desired({ team, source: { kind: "image", reference, digest: null }, privateImage: password !== undefined }); // prettier-ignore
  const credential = { registry: host, username: "puller", password: password ?? "" };
  if (password !== undefined) world.peer.pullCredentials.set(wanted.instance, credential);
  return wanted;
};
/** Of its first try; a registry is asked again later, because it may only have been away. */
function failureOf({ instance }: DesiredInstance) {
  return until(
    () => `${instance} fails; it is ${JSON.stringify(world.peer.observed(instance))}`,
    () => {
      const status = world.peer.observed(instance)?.status;
      return status?.kind === "failed" || status?.kind === "backoff" ? status.failure : null;
    },
    30_000,
  );
}

test("another team has it neither by its name nor by its digest, without the password or with a wrong one", async () => {
  const own = wanting(teamA, image, PASSWORD);
  world.peer.publish([own]);
  digest = (await untilStatus(world, own.instance, "ready")).digest ?? "";
  expect(digest).toMatch(/^sha256:/);
  const thieves = [
    wanting(teamB, image),
    wanting(teamB, `${host}/a/web@${digest}`),
    wanting(teamB, `${host}/a/web@${digest}`, "guessed"),
  ];
  world.peer.publish([own, ...thieves]);
  for (const thief of thieves) {
    const failure = await failureOf(thief);
    expect(failure.code).toMatch(/^image_(pull_failed|not_found)$/);
    expect(failure.message).not.toContain(PASSWORD);
  }
  // With the password it is had without pulling anything anew.
  const allowed = wanting(teamB, image, PASSWORD);
  world.peer.publish([own, allowed]);
  await untilStatus(world, allowed.instance, "ready");
});

test("nor by the beginning of its id, for which the Engine would find it", async () => {
  const { Id } = await docker.getImage(`${host}/a/web@${digest}`).inspect();
  const short = Id.slice("sha256:".length, "sha256:".length + 12);
  expect((await docker.getImage(short).inspect()).Id).toBe(Id);
  const thief = wanting(teamB, short);
  world.peer.publish([thief]);
  expect((await failureOf(thief)).code).toMatch(/^image_/);
});
