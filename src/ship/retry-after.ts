// How long a store asks to be left alone: the header Retry-After, in seconds or as a date (RFC 9110, 10.2.3).
import type { IncomingHttpHeaders } from 'node:http'

/** Undefined where it says nothing, or nothing that can be understood. */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const text = headers['retry-after']?.trim() ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  // A date begins with the name of a day; Date would take a lot of other things for one.
  if (!/^[A-Za-z]{3,9},? /.test(text)) return undefined
  const untilMs = Date.parse(text)
  if (Number.isNaN(untilMs)) return undefined
  // By the clock of the store, where it tells: this one may be set otherwise.
  const storeMs = Date.parse(headers.date ?? '')
  return Math.max(0, untilMs - (Number.isNaN(storeMs) ? nowMs : storeMs))
}
