// A bar chart of one suite as SVG: the rate of every contender, and its CPU time per record, side by side.
import { count } from './table.mjs'

const rowHeight = 30
const labelWidth = 190
const barWidth = 230
const panelWidth = barWidth + 80
const topHeight = 78
const bottomHeight = 34

const colours = { own: '#0969da', reference: '#6e7781', other: '#afb8c1', text: '#1f2328', quiet: '#59636e' }

export function drawChart({ suite, summary, about, reference }) {
  const shown = summary.filter((one) => one.failed === undefined)
  const width = labelWidth + 2 * panelWidth
  const height = topHeight + shown.length * rowHeight + bottomHeight
  const panels = [
    panel(reference, shown, labelWidth, `${suite.unit} per second`, (one) => one.rate, count),
    panel(
      reference,
      shown,
      labelWidth + panelWidth,
      'CPU µs each (less is better)',
      (one) => one.cpuMicroseconds,
      (value) => value.toFixed(2)
    )
  ]
  const labels = shown.map((one, row) =>
    text(labelWidth - 10, middleOf(row), one.name, { anchor: 'end', weight: one.own ? 700 : 400 })
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" role="img">
<title>${xml(suite.title)}</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${text(16, 28, suite.title, { size: 16, weight: 700 })}
${labels.join('\n')}
${panels.join('\n')}
${text(16, height - 12, about, { size: 11, colour: colours.quiet })}
</svg>
`
}

function panel(reference, shown, left, title, pick, label) {
  const most = Math.max(...shown.map(pick))
  const bars = shown.map((one, row) => {
    const value = pick(one)
    const length = Math.max(1, Math.round((value / most) * barWidth))
    const colour = one.own ? colours.own : one.name === reference ? colours.reference : colours.other
    const top = topHeight + row * rowHeight + 5
    return `<rect x="${left}" y="${top}" width="${length}" height="${rowHeight - 10}" rx="2" fill="${colour}"/>
${text(left + length + 6, middleOf(row), label(value), { weight: one.own ? 700 : 400 })}`
  })
  return `${text(left, topHeight - 14, title, { size: 12, colour: colours.quiet })}\n${bars.join('\n')}`
}

function middleOf(row) {
  return topHeight + row * rowHeight + rowHeight / 2 + 4
}

function text(x, y, content, { anchor = 'start', weight = 400, size = 13, colour = colours.text } = {}) {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-weight="${weight}" font-size="${size}" fill="${colour}">${xml(content)}</text>`
}

function xml(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
