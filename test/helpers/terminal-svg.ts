// The screen of a terminal as an SVG of text, for the docs: what `tmux capture-pane -e` gives, with its colours.
const CELL = 8.4
const LINE = 18
const PALETTE: Readonly<Record<number, string>> = { 31: '#f85149', 32: '#3fb950', 33: '#d29922' }

interface Style {
  readonly colour: string | undefined
  readonly isBold: boolean
  readonly isInverse: boolean
}

const PLAIN: Style = { colour: undefined, isBold: false, isInverse: false }

export function terminalSvg(screen: string, columns: number, title: string): string {
  const lines = screen.trimEnd().split('\n')
  const [width, height] = [Math.ceil(columns * CELL) + 24, lines.length * LINE + 24]
  const texts: string[] = []
  let style = PLAIN
  for (const [row, line] of lines.entries()) {
    let column = 0
    const y = 12 + row * LINE
    for (const part of line.split(/(\x1b\[[\d;]*m)/)) {
      if (part.startsWith('\x1b')) {
        style = styled(style, part.slice(2, -1))
        continue
      }
      const x = 12 + column * CELL
      if (style.isInverse && part !== '')
        texts.push(
          `<rect x="${x.toFixed(1)}" y="${y}" width="${(part.length * CELL).toFixed(1)}" height="${LINE}" fill="#c9d1d9"/>`
        )
      const fill = style.isInverse ? '#0d1117' : (style.colour ?? '#c9d1d9')
      const weight = style.isBold ? ' font-weight="bold"' : ''
      if (part.trim() !== '')
        texts.push(
          `<text x="${x.toFixed(1)}" y="${y + 13}" fill="${fill}"${weight} textLength="${(part.length * CELL).toFixed(1)}">${escapeXml(part)}</text>`
        )
      column += part.length
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="14" style="white-space:pre">
${texts.join('\n')}
</g></svg>
`
}

function styled(before: Style, codes: string): Style {
  let style = before
  for (const code of codes.split(';').map(Number)) {
    if (code === 0) style = PLAIN
    else if (code === 1) style = { ...style, isBold: true }
    else if (code === 7 || code === 27) style = { ...style, isInverse: code === 7 }
    else if (code === 39) style = { ...style, colour: undefined }
    else if (code in PALETTE) style = { ...style, colour: PALETTE[code] }
  }
  return style
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
