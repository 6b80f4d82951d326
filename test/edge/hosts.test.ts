// What a Host header means to the edge, however a visitor writes it: one name has one meaning, and the platform's own are nobody's app.
import { describe, expect, test } from "vitest";
import { hostOf } from "../../workers/edge/forwarded.ts";

describe("a Host header", () => {
  test.each([
    "shop.example.com",
    "SHOP.Example.COM",
    "shop.example.com.",
    "shop.example.com:443",
    "shop.example.com:8443",
    "Shop.Example.com.:80",
  ])("%s names shop.example.com", (written) => {
    expect(hostOf(written)).toMatchObject({ hostname: "shop.example.com", reserved: false, preview: null });
  });

  test.each(["127.0.0.1", "127.0.0.1:8787", "localhost", "localhost:80", "[::1]", "[::1]:8787"])(
    "%s is no app's",
    (written) => {
      expect(hostOf(written).reserved).toBe(true);
    },
  );

  test("a preview is of the hostname behind it, with a port and in capitals too", () => {
    const plain = hostOf("v7--shop.example.com");
    expect(plain.preview).toBe(7);
    expect(hostOf("V7--Shop.Example.com:443")).toEqual(plain);
  });
});
