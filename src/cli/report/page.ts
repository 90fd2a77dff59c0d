// The page of `logboom report`: one HTML file that needs nothing else, no script and no network.
import type { Damage, Note } from '../../readers/reader.ts'
import { formatBytes } from '../units.ts'
import { barChart, time } from './chart.ts'
import { escapeHtml, table } from './html.ts'
import { levelClasses, type Tally } from './tally.ts'

const COMMONEST = 20

const STYLE = `:root{color-scheme:light dark;--text:#1b1f24;--back:#fff;--line:#d0d7de;--soft:#57606a}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--back:#0d1117;--line:#30363d;--soft:#9da7b1}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.scroll{overflow-x:auto}
figure{margin:1rem 0}figcaption,.axis{color:var(--soft);font-size:.9rem}svg{width:100%;height:180px;border-bottom:1px solid var(--line)}
.axis{display:flex;justify-content:space-between}.key{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
.none{fill:#8c959f;background:#8c959f}.trace{fill:#a475f9;background:#a475f9}.debug{fill:#6e7781;background:#6e7781}.info,.bytes{fill:#2f81f7;background:#2f81f7}.warn{fill:#d29922;background:#d29922}.error{fill:#f85149;background:#f85149}.fatal{fill:#bf1d8b;background:#bf1d8b}`

export interface ReportFacts {
  readonly title: string
  readonly madeAt: string
  readonly tally: Tally
  /** The finished files among those read. */
  readonly rotations: number
  readonly damage: readonly Damage[]
  /** Bytes that belong to no record. */
  readonly skippedBytes: number
  /** What else is to be known of the files, such as that some were removed while they were read. */
  readonly notes: readonly Note[]
}

export function reportPage(page: ReportFacts): string {
  const { title, madeAt, tally, rotations, damage, skippedBytes, notes } = page
  const hasTimes = tally.firstMs <= tally.lastMs
  const facts: [string, string | number][] = [
    ['Records', tally.records],
    ['Bytes of records', tally.bytes],
    ['First record', hasTimes ? time(tally.firstMs) : 'no record has a time'],
    ['Last record', hasTimes ? time(tally.lastMs) : 'no record has a time'],
    ['Records without a time', tally.untimed],
    ['Files', tally.files.size],
    ['Rotations', rotations],
    ['Dropped records, as the log says', tally.dropped],
    ['Damaged places', damage.length],
    ['Bytes that are no record', skippedBytes]
  ]
  const legend = levelClasses
    .filter((_, at) => tally.levels[at] > 0)
    .map(
      (name) =>
        `<li><span class="key ${name}"></span>${name}: ${tally.levels[levelClasses.indexOf(name)]}</li>`
    )
  const messages = tally.commonest(COMMONEST).map(([text, count]): [number, string] => [count, text])
  const files = [...tally.files].map(([file, { records, bytes }]): (string | number)[] => [
    file,
    records,
    bytes
  ])
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>
<h1>${escapeHtml(title)}</h1><p>Made ${escapeHtml(madeAt)} by logboom report.</p>
${table('In short', ['Figure', 'Value'], facts)}
<h2>Records over time, by level</h2>
${barChart(tally, 'Records', ({ records }) => levelClasses.map((name, at) => ({ name, value: records[at] })))}
<ul>${legend.join('')}</ul>
<h2>Bytes over time</h2>
${barChart(tally, 'Bytes', ({ bytes }) => [{ name: 'bytes', value: bytes }])}
${table('Commonest messages', ['Count', 'Message'], messages)}
${tally.otherMessages > 0 ? `<p>${tally.otherMessages} records have messages beyond those that were told apart.</p>` : ''}
${table(
  'Largest records',
  ['Bytes', 'File', 'Offset', 'Begins'],
  tally.largest.map(({ bytes, file, offset, text }) => [bytes, file, offset, text])
)}
${table(
  'Longest gaps, of a minute or more',
  ['Seconds', 'From', 'To'],
  tally.gaps.map(({ fromMs, toMs }) => [Math.round((toMs - fromMs) / 1000), time(fromMs), time(toMs)])
)}
${table('Files', ['File', 'Records', 'Bytes of records'], files)}
${table(
  'Damage',
  ['File', 'Offset', 'Size', 'What'],
  damage.map(({ file, offset, bytes, reason }) => [file, offset, formatBytes(bytes), reason])
)}
${notes.length === 0 ? '' : table('Remarks', ['Log', 'What'], notes.map(remark))}
</main></body></html>
`
}

function remark({ path, text }: Note): string[] {
  return [path, text]
}
