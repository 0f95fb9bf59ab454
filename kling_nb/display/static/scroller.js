// The nearest ancestor that scrolls and has something to scroll.
function scrollerOf(node) {
  for (let each = node.parentElement; each; each = each.parentElement) {
    const isFull = each.scrollHeight > each.clientHeight + 1;
    if (isFull && /auto|scroll/.test(getComputedStyle(each).overflowY)) return each;
  }
  return null;
}
