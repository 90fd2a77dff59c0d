// A target in memory, and a shipper that ends with the test.
import type { ShipperOptions } from '../../src/ship/options.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import type { ShipBatch, ShipTarget } from '../../src/ship/target.ts'
import { atTestEnd } from './at-test-end.ts'

export interface Sent {
  sequence: number
  rangeHash: string
  texts: string[]
  numbers: number[]
}

/** `answer` may throw, or wait. */
export function createTarget(
  answer: (batch: ShipBatch, sent: Sent) => unknown = () => {},
  own: Partial<ShipTarget> = {}
) {
  const sent: Sent[] = []
  const taken: string[] = []
  const target: ShipTarget = {
    name: 'test',
    guarantee: 'none',
    splits: true,
    maxInFlight: 1,
    async send(batch) {
      const texts = batch.records.map(({ data }) => String(data))
      const numbers = batch.records.map(({ number }) => number)
      const each = { sequence: batch.sequence, rangeHash: batch.rangeHash, texts, numbers }
      sent.push(each)
      const refusals = await answer(batch, each)
      taken.push(...texts)
      return Array.isArray(refusals) ? refusals : []
    },
    ...own
  }
  return { target, sent, taken }
}

export function createShipper(
  source: string,
  target: ShipTarget,
  options: Partial<ShipperOptions> = {}
): Shipper {
  const shipper = new Shipper({ batchRecords: 10, follow: false, ...options, source, target })
  atTestEnd(() => shipper.stop())
  return shipper
}
