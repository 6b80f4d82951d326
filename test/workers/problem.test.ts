// The one switch from failures to statuses, and what exceptions may say to the outside.
import { describe, expect, it } from "vitest";
import { FAILURE_CODES, Problem } from "../../contracts/failures.ts";
import { DatabaseUnavailable } from "../../db/errors.ts";
import { ApiFailure, failureOf, problemResponse, statusOf } from "../../workers/control/http/problem.ts";

describe("a failure", () => {
  it.each(FAILURE_CODES)("%s has a status of 400 to 599, and 5xx only where the fault is ours", (code) => {
    const status = statusOf(code);
    const ours = ["internal", "overloaded", "database_unavailable", "dns_unavailable", "scanner_unavailable"].includes(
      code,
    );
    expect(status >= 500).toBe(ours);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
  });

  it("becomes a problem document with its errors, and Retry-After in whole seconds, never 0", async () => {
    const errors = [{ pointer: "/port", rule: "max:65535", message: "too big" }];
    const answer = problemResponse({ code: "rate_limited", message: "slow down", errors, retryAfterMs: 1 }, "r-1");
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(Problem.parse(await answer.json())).toMatchObject({ code: "rate_limited", errors, requestId: "r-1" });
  });
});

describe("an exception", () => {
  it("that is a refusal keeps its code and is no fault", () => {
    const refusal = new ApiFailure({ code: "name_taken", message: "taken" });
    expect(failureOf(refusal)).toMatchObject({ failure: { code: "name_taken" }, fault: false });
  });

  it("of the database being away is database_unavailable", () => {
    expect(failureOf(new DatabaseUnavailable(new Error("refused"))).failure.code).toBe("database_unavailable");
  });

  it.each([{ overloaded: true }, { retryable: true }])("of an object that is %j is overloaded", (marks) => {
    expect(failureOf(Object.assign(new Error("x"), marks)).failure.code).toBe("overloaded");
  });

  it("of any other kind is internal and says nothing of itself", () => {
    const { failure, fault } = failureOf(new Error("password=hunter2 at db.internal:5432"));
    expect(fault).toBe(true);
    expect(failure.code).toBe("internal");
    expect(JSON.stringify(failure)).not.toMatch(/hunter2|5432/);
  });
});
