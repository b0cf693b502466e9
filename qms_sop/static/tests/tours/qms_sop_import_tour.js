import {registry} from "@web/core/registry";

const MARKDOWN = [
    "# SOP-IMPORTED-001: Imported in a browser",
    "",
    "**Version**: 1.0.0",
    "**Owner**: Tour",
    "",
    "## Purpose",
    "",
    "To be imported.",
    "",
    "### Step 1: Look (5 min)",
    "",
    "**Database error evidence**:",
    "",
    "```sql",
    "SELECT 1;",
    "```",
    "",
    "### Step 2: Mend",
    "",
    "```bash",
    "true",
    "```",
    "",
].join("\n");

/** Choose a file as a person does in the file dialog. */
function upload(input, name, text) {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name, {type: "text/markdown"}));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
}

registry.category("web_tour.tours").add("qms_sop_import_tour", {
    steps: () => [
        {
            content: "Open the wizard",
            trigger: ".o_control_panel button:contains(Import Markdown)",
            run: "click",
        },
        {
            content: "Choose a file",
            trigger: ".modal .o_field_many2many_binary input[type=file]:not(:visible)",
            run() {
                upload(this.anchor, "imported.md", MARKDOWN);
            },
        },
        {
            content: "It is uploaded",
            trigger: ".modal .o_attachment:contains(imported.md)",
        },
        {trigger: ".modal button[name=action_preview]", run: "click"},
        {
            content: "The steps are told",
            trigger: ".modal .o_qms_import_result:contains(Step 2):contains(Mend)",
        },
        {
            content: "The command has its category",
            trigger: ".modal .o_qms_import_result .badge:contains(DATABASE)",
        },
        {trigger: ".modal button[name=action_import]", run: "click"},
        {
            content: "The draft is open",
            trigger:
                ".o_form_view h1:contains(Imported in a browser), .o_form_view h1 input:value(Imported in a browser), .o_form_view h1 textarea:value(Imported in a browser)",
        },
        {
            content: "Its Markdown can be read",
            trigger: ".o_notebook_headers a[name=markdown]",
            run: "click",
        },
        {
            trigger: ".o_field_widget[name=markdown]:contains(SELECT 1;)",
        },
    ],
});
