// Bad input on the real stack: always a 4xx problem with pointer and rule, never a 5xx, and nothing half-done.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FieldError, Problem } from "../../contracts/failures.ts";
import { BAD_INPUTS, type BadInput } from "./bad-inputs.ts";
import { BAD_ROLLOUTS } from "./bad-rollouts.ts";
import { createWorld, type World } from "./support.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ agents: 0 });
  expect((await world.api("POST", "/v1/apps", { name: "target" })).status).toBe(201);
}, 120_000);
afterAll(() => world.end());

const send = ({ method, path, body, headers }: BadInput) =>
  world.api(method, path.replace("{app}", "target"), body, headers);

describe("bad input", () => {
  it.each([...BAD_INPUTS, ...BAD_ROLLOUTS])("$name: $status $code", async (input) => {
    const answer = await send(input);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    const problem = Problem.parse(answer.body);
    expect([answer.status, problem.code]).toEqual([input.status, input.code]);
    expect(answer.headers.get("x-request-id")).toBe(problem.requestId);
    if (input.error !== undefined) {
      expect((problem.errors ?? []).map((error: FieldError) => `${error.pointer} ${error.rule}`)).toContain(
        input.error,
      );
    }
  });

  it("leaves nothing behind", async () => {
    const { body } = await world.api("GET", "/v1/apps");
    expect(body.items.map((app: { name: string }) => app.name)).toEqual(["target"]);
    const target = (await world.api("GET", "/v1/apps/target")).body;
    expect(target).toMatchObject({ status: "never_deployed", envNames: [], rollout: null, replicas: 1 });
    expect((await world.api("GET", "/v1/apps/target/releases")).body.items).toEqual([]);
    expect((await world.api("GET", "/v1/tokens")).body.items).toEqual([]);
    expect((await world.api("GET", "/v1/nodes/tokens")).body.items).toEqual([]);
  });
});
