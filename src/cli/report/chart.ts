// Bars over time as SVG, stacked by level. Colours come from the style of the page.
import { escapeHtml } from './html.ts'
import { type LevelClass, levelClasses, type Tally } from './tally.ts'

const WIDTH = 960
const HEIGHT = 180
const MAX_BARS = 240
const LEFT = 4

/** One picture of all spans; `of` says what of a span is stacked. */
export function barChart(
  tally: Tally,
  title: string,
  of: (span: {
    records: number[]
    bytes: number
  }) => readonly { readonly name: LevelClass | 'bytes'; readonly value: number }[]
): string {
  const numbers = [...tally.spans.keys()]
  if (numbers.length === 0) return '<p>No record has a time.</p>'
  const first = numbers.reduce((a, b) => Math.min(a, b))
  const last = numbers.reduce((a, b) => Math.max(a, b))
  const perBar = Math.ceil((last - first + 1) / MAX_BARS)
  const bars = new Map<number, Map<string, number>>()
  for (const [number, span] of tally.spans) {
    const bar = Math.floor((number - first) / perBar)
    const sums = bars.get(bar) ?? new Map<string, number>()
    for (const { name, value } of of(span)) sums.set(name, (sums.get(name) ?? 0) + value)
    bars.set(bar, sums)
  }
  const count = Math.floor((last - first) / perBar) + 1
  const total = (sums: Map<string, number>) => [...sums.values()].reduce((a, b) => a + b, 0)
  const most = Math.max(1, ...[...bars.values()].map(total))
  const width = (WIDTH - LEFT) / count
  const shapes: string[] = []
  for (const [bar, sums] of bars) {
    let top = HEIGHT
    for (const name of [...levelClasses, 'bytes']) {
      const value = sums.get(name) ?? 0
      if (value === 0) continue
      const height = (value / most) * HEIGHT
      top -= height
      const x = LEFT + bar * width
      shapes.push(
        `<rect class="${name}" x="${x.toFixed(2)}" y="${top.toFixed(2)}" width="${Math.max(0.5, width * 0.9).toFixed(2)}" height="${height.toFixed(2)}"/>`
      )
    }
  }
  const spanMinutes = (tally.spanMs * perBar) / 60_000
  const label = `${title}: at most ${most} in ${spanMinutes} ${spanMinutes === 1 ? 'minute' : 'minutes'}`
  return `<figure><figcaption>${escapeHtml(label)}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(label)}" preserveAspectRatio="none">${shapes.join('')}</svg><div class="axis"><span>${time(first * tally.spanMs)}</span><span>${time((last + 1) * tally.spanMs)}</span></div></figure>`
}

export function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace('.000Z', 'Z')
}
