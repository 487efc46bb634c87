// @ts-check
// One member for a sidebar: node examples/member.mjs M00000900

/** @typedef {"fresh" | "stale" | "expired" | "absent" | "withheld" | "erased"} Status */
/** @template T @typedef {{ value: T | null, status: Status, since: string | null }} Value */
/** @typedef {{ status: Status, as_of: string | null, age_s: number | null }} ViewState */
/**
 * @typedef {object} ChatSidebar
 * @property {string} member_id
 * @property {string | null} snapshot_id
 * @property {Record<string, ViewState>} views
 * @property {{
 *   member_orders_v1: { last_order_at: Value<string>, aov_365d_minor: Value<number> },
 *   member_tags_v1: { tags: Value<string[]> },
 * }} features
 * @property {{ promo_allowed: boolean, reasons: string[] }} eligibility
 */

const url = process.env.HUITOU_URL ?? "http://127.0.0.1:8566";
/** @type {Record<string, string>} */
const headers = process.env.HUITOU_KEY ? { Authorization: `Bearer ${process.env.HUITOU_KEY}` } : {};
const AGAIN = new Set([429, 502, 503, 504]);

/**
 * The member as `chat_sidebar_v1` promises it; asks again where that helps.
 * @param {string} memberId
 * @returns {Promise<ChatSidebar>}
 */
async function member(memberId, attempts = 3) {
  const address = `${url}/v1/members/${encodeURIComponent(memberId)}?service=chat_sidebar_v1`;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(address, { headers, signal: AbortSignal.timeout(2000) });
    if (answer.ok) return answer.json();
    const { error } = await answer.json();
    if (!AGAIN.has(answer.status) || attempt === attempts) {
      throw new Error(`${error.code}: ${error.message} (request ${error.request_id})`);
    }
    const seconds = Number(answer.headers.get("retry-after") ?? 0.1 * 2 ** attempt);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

/**
 * The value, or undefined where it may not be used.
 * @template T @param {Value<T>} cell @returns {T | null | undefined}
 */
const usable = (cell) => (["fresh", "stale"].includes(cell.status) ? cell.value : undefined);

const found = await member(process.argv[2] ?? "");
const { member_orders_v1: orders, member_tags_v1: tags } = found.features;
console.log("last order:", usable(orders.last_order_at) ?? `not known (${orders.last_order_at.status})`);
console.log("tags:", (usable(tags.tags) ?? []).join(", "));
console.log("promotion:", found.eligibility.promo_allowed ? "yes" : `no (${found.eligibility.reasons})`);
