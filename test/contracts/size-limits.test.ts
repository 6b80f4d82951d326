// What customers and agents send is bounded where it is parsed, so that no row, summary or search grows without end.
import { describe, expect, it } from "vitest";
import { EnrolRequest, ObservedInstance } from "../../contracts/agent-protocol.ts";
import { InstanceFailure } from "../../contracts/failures.ts";
import { LABELS_MAX, PlacementPolicy } from "../../contracts/release.ts";

const labels = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index}`, "x"]));

describe("labels", () => {
  const asked = (count: number) => PlacementPolicy.safeParse({ labels: labels(count) });
  const offered = (count: number) => EnrolRequest.shape.labels.safeParse(labels(count));

  it("that a release asks for, and that a node has, are as many at most", () => {
    expect([asked(LABELS_MAX).success, offered(LABELS_MAX).success]).toEqual([true, true]);
    expect([asked(LABELS_MAX + 1).success, offered(LABELS_MAX + 1).success]).toEqual([false, false]);
    expect(asked(LABELS_MAX + 1).error?.issues[0]?.message).toBe(`may be at most ${LABELS_MAX}`);
  });
});

describe("a digest that a node reports", () => {
  const { digest } = ObservedInstance.shape;

  it("is about as long as a digest is", () => {
    expect(digest.safeParse(`sha512:${"a".repeat(121)}`).success).toBe(true);
    expect(digest.safeParse(`sha512:${"a".repeat(122)}`).success).toBe(false);
  });
});

describe("the signal that ended an instance", () => {
  const failure = (signal: string) => InstanceFailure.safeParse({ code: "exited", message: "", signal });

  it("is about as long as the name of one", () => {
    expect(failure("SIGVTALRM").success).toBe(true);
    expect(failure("S".repeat(33)).success).toBe(false);
  });
});

describe("a node's name", () => {
  const { name } = EnrolRequest.shape;

  it.each(["tokens", "rebalance", "a/b", "Node", "", "a".repeat(64), "node\u001b[2J"])("is not %j", (text) => {
    expect(name.safeParse(text).success).toBe(false);
  });
  it("is what can be typed into a path", () => {
    expect(["node-1", "tokens-1", "n"].every((text) => name.safeParse(text).success)).toBe(true);
    expect(name.safeParse("tokens").error?.issues[0]?.message).toMatch(/must not be tokens or rebalance/);
  });
});
