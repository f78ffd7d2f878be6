// Verifies a request with Node's own modules. The body is the Buffer that arrived: in Express, use
// express.raw({ type: "application/json" }), not express.json().
import { createHmac, timingSafeEqual } from "node:crypto";

// Whether the request was signed with the secret (whsec_...) and is at most five minutes old.
export function verify(secret, headers, body) {
  const at = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(at) || Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${headers["webhook-id"] ?? ""}.${at}.`).update(body);
  const expected = Buffer.from("v1," + mac.digest("base64"));
  return (headers["webhook-signature"] ?? "").split(" ").some((each) => { // several during a rotation
    const got = Buffer.from(each);
    return got.length === expected.length && timingSafeEqual(got, expected);
  });
}
