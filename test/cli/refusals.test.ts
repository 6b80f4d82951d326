// What a refused command says: the reason that the API gives, and nothing of roles where a role is not the reason.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runBerth, type Ran } from "./run-berth.ts";

const REASONS = {
  entry: "You entered this team as viewer, which does not allow app:update.",
  token: "The scopes of this API token do not include app:update.",
  operators: "Only an operator of this installation may do this.",
};
const OWN = { id: "team_01jzzzzzzze0a0000000000001", slug: "ours", name: "Ours", role: "owner", createdAtMs: 1 };
const ENTERED = {
  id: "team_01jzzzzzzze0a0000000000002",
  slug: "theirs",
  name: "Theirs",
  role: "viewer",
  createdAtMs: 1,
};
const user = { id: "user_01jzzzzzzze0a0000000000001", email: "op@example.com", name: "Op", operator: true };

let server: Server;
let cwd = "";
let api = "";
let reason = "";
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "berth-cli-"));
  server = createServer((request, response) => {
    const team = request.headers["berth-team"] === ENTERED.slug ? ENTERED : OWN;
    const me = {
      user,
      team,
      teams: [OWN],
      via: request.headers.authorization === "Bearer t" ? "api_token" : "session",
    };
    const problem = { type: "about:blank", title: "x", status: 403, detail: reason, code: "forbidden", requestId: "r" };
    const isMe = request.url === "/v1/whoami";
    response.writeHead(isMe ? 200 : 403).end(JSON.stringify(isMe ? me : problem));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(cwd, { recursive: true, force: true });
});
const berth = (args: string[], token = "session"): Promise<Ran> =>
  runBerth([...args, "--api", api], { cwd, env: { BERTH_TOKEN: token } });

test.each(Object.entries(REASONS))(
  "%s: the reason is the API's, the hint goes for every reason",
  async (_which, said) => {
    reason = said;
    const ran = await berth(["scale", "2", "shop"]);
    expect(ran).toMatchObject({ exitCode: 3, stdout: "" });
    expect(ran.stderr.replace(said, "")).toBe(
      "✗ \n  `berth whoami` shows as whom you ask, in which team and with which role.\n",
    );
  },
);

test("whoami, which the hint names, shows the role of a team that was entered, and that a token asks", async () => {
  const entered = await berth(["whoami", "--team", "theirs"]);
  expect(entered, entered.stderr).toMatchObject({ exitCode: 0 });
  expect(entered.stdout).toMatch(/ours +owner *\n/);
  expect(entered.stdout).toMatch(/theirs +viewer +current, entered as an operator/);
  expect(entered.stdout).not.toContain("API token");
  expect((await berth(["whoami"], "t")).stdout).toMatch(/by an API token\n[^]*ours +owner +current *\n/);
});
