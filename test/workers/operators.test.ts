// Operators make operators: of whom, by whom, and what of before that ends.
import { expect, it } from "vitest";
import { ask, newPerson, newTeam, type Person } from "./access-world.ts";

const operators = (by: string, method: string, path = "", body?: unknown) =>
  ask(by, method, `/v1/operators${path}`, body);
const isIn = async (reader: Person, { user }: Person): Promise<boolean> =>
  ((await operators(reader.bearer, "GET")).body.items as Person[]).some((each) => each.user === user);

it("an operator makes another of whoever has a second factor; what that account had open ends", async () => {
  const { team } = await newTeam();
  const first = await newPerson({ team, role: "viewer", operator: true });
  const plain = await newPerson({ team, role: "viewer" });
  const next = await newPerson({ team, role: "viewer", secondFactor: true });
  const { body: made } = await ask(next.bearer, "POST", "/v1/tokens", { name: "t", scopes: ["*"] });
  const add = (email: string, by = first.bearer) => operators(by, "POST", "", { email });
  expect(await add(plain.email)).toMatchObject({ status: 409, text: expect.stringContaining("second factor") });
  expect(await add("nobody@example.com")).toMatchObject({ status: 404 });
  expect(await add(next.email, plain.bearer)).toMatchObject({ status: 403 });
  const { body: token } = await ask(first.bearer, "POST", "/v1/tokens", { name: "t", scopes: ["*"] });
  expect(await add(next.email, token.token)).toMatchObject({ status: 403 });
  expect(await isIn(first, next)).toBe(false);
  expect(await add(next.email)).toMatchObject({ status: 204 });
  expect(await isIn(first, next)).toBe(true);
  for (const bearer of [next.bearer, made.token])
    expect(await ask(bearer, "GET", "/v1/whoami")).toMatchObject({ status: 401 });
  expect(await add(next.email)).toMatchObject({ status: 409 });
  const audit = await ask(first.bearer, "GET", `/v1/operator/audit?action=operator.add&subject=${next.user}`);
  expect(audit.body.items).toContainEqual(
    expect.objectContaining({ action: "operator.add", subject: next.user, actor: `user:${first.user}` }),
  );
  expect(await operators(first.bearer, "DELETE", `/${next.user}`)).toMatchObject({ status: 204 });
  expect(await isIn(first, next)).toBe(false);
  expect(await operators(first.bearer, "DELETE", `/${next.user}`)).toMatchObject({ status: 404 });
});
