// The OpenAPI document: what is committed is what the routes say, complete and consistent in itself.
import { describe, expect, it } from "vitest";
import committed from "../../docs/openapi.json";
import { app } from "../../workers/control/app.ts";
import { request } from "./control-env.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  security?: object[];
  parameters?: { name: string; in: string }[];
  responses: Record<string, { description?: string; content?: Record<string, unknown> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
}

const served = (await (await request("/openapi.json")).json()) as Document;
const operations = Object.entries(served.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })),
);
const PUBLIC = new Set([
  "POST /v1/setup",
  "POST /v1/sign-up",
  "POST /v1/verify-email",
  "POST /v1/sign-in",
  "POST /v1/password-resets",
  "POST /v1/password-resets/complete",
  "POST /v1/device-logins",
  "POST /v1/device-logins/session",
]);

describe("the OpenAPI document", () => {
  it("is the committed one; `npm run docs:openapi` writes it anew", () => {
    expect(served).toEqual(committed);
  });

  it("is OpenAPI 3.1 and describes every route of /v1", () => {
    expect(served.openapi).toBe("3.1.0");
    const routed = new Set<string>();
    for (const { method, path } of app.routes) {
      if (method === "ALL" || !path.startsWith("/v1/")) continue;
      routed.add(`${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    }
    expect(new Set(operations.map(({ name }) => name))).toEqual(routed);
  });

  it("names every operation once", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(operations.length);
    expect(ids).not.toContain(undefined);
  });

  it("has every reference resolve", () => {
    const references = [...JSON.stringify(served).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
    expect(references.length).toBeGreaterThan(50);
    for (const [, name] of references) expect(served.components.schemas).toHaveProperty(name as string);
  });

  it.each(operations)(
    "$name has a summary, a tag, its path's parameters, a success and problems",
    ({ path, operation }) => {
      expect(operation.summary).toMatch(/^[A-Z].*[^.]$/);
      expect(operation.tags).toHaveLength(1);
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const given = (operation.parameters ?? []).filter((parameter) => parameter.in === "path").map(({ name }) => name);
      expect(new Set(given)).toEqual(new Set(wanted));
      const statuses = Object.keys(operation.responses);
      expect(statuses.some((status) => status.startsWith("2"))).toBe(true);
      for (const status of statuses.filter((each) => Number(each) >= 400)) {
        expect(operation.responses[status]?.content).toHaveProperty(["application/problem+json"]);
      }
      expect(statuses).toContain("503");
    },
  );

  it.each(operations)("$name says whether it needs a token", ({ name, operation }) => {
    expect(operation.security ?? []).toEqual(PUBLIC.has(name) ? [] : [{ bearer: [] }]);
  });
});

describe("the reference page", () => {
  it("shows every operation and shape, and every link within it leads somewhere", async () => {
    const page = await (await request("/docs")).text();
    const ids = new Set([...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const { operation } of operations) expect(ids).toContain(operation.operationId);
    for (const name of Object.keys(served.components.schemas)) expect(ids).toContain(`shape-${name}`);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it("loads nothing from anywhere else", async () => {
    const answer = await request("/docs");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^text\/html/);
    const page = await answer.text();
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(/);
    for (const [, address] of page.matchAll(/href="([^"]+)"/g)) expect(address).toMatch(/^(#|\/openapi\.json$)/);
  });
});
