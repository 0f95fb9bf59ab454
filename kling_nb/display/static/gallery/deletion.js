// Deletes a clip after a confirmation: moves it to the trash, or deletes it if there is no trash.

class Deletion {
  constructor(tile) {
    this.tile = tile;
    this.el = element("div", "details-deletion");
    this.offer();
  }

  offer(fault = "") {
    this.first = button("", "Delete", () => this.confirm("Move this clip to the trash?", "Move to trash", false), {
      "aria-label": `Delete: ${this.tile.name}`,
    });
    this.el.replaceChildren(this.first, element("p", "tile-fault", { role: "alert", hidden: !fault }, fault));
  }

  confirm(question, label, permanently) {
    const cancel = button("", "Cancel", () => (this.offer(), this.first.focus()));
    this.yes = button("", label, () => this.send(permanently));
    this.el.replaceChildren(element("p", "tile-about", { role: "alert" }, question), this.yes, cancel);
    cancel.focus();
  }

  send(permanently) {
    const { clip, gallery } = this.tile;
    if (this.tile.wait(this.yes)) gallery.ask({ do: "delete", id: clip.id, permanently });
  }

  release() {
    if (this.yes) this.tile.arrive(this.yes);
  }

  answer({ fault, question }) {
    this.release();
    const hadFocus = this.el.contains(document.activeElement);
    if (question) this.confirm(question, "Delete permanently", true);
    else if (fault) this.offer(fault);
    if (fault && hadFocus) this.first.focus();
  }
}
