// Text and tables in HTML.
import { printable } from '../../base/printable.ts'

/** Text of a log, which may be anything, for the content of an element or an attribute in double quotes. */
export function escapeHtml(text: string): string {
  return printable(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** A table with a caption; cells that are numbers are aligned to the right. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[]
): string {
  if (rows.length === 0) return `<h2>${escapeHtml(caption)}</h2><p>None.</p>`
  const heads = head.map((each) => `<th scope="col">${escapeHtml(each)}</th>`).join('')
  const body = rows
    .map(
      (row) =>
        `<tr>${row.map((cell) => (typeof cell === 'number' ? `<td class="number">${cell}</td>` : `<td>${escapeHtml(cell)}</td>`)).join('')}</tr>`
    )
    .join('\n')
  return `<h2>${escapeHtml(caption)}</h2><div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><thead><tr>${heads}</tr></thead><tbody>\n${body}\n</tbody></table></div>`
}
