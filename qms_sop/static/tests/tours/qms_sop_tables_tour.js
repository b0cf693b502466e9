import {registry} from "@web/core/registry";

const MARKDOWN = [
    "# SOP-TABLES-TOUR-001: Tables in a browser",
    "",
    "**Owner**: Tour",
    "",
    "## Purpose",
    "",
    "To be imported.",
    "",
    "## Error codes",
    "",
    "| Code | Category | Severity | Cause |",
    "|---|---|---|---|",
    "| TAPE_JAM | INFRASTRUCTURE | High | Dust |",
    "| TAPE_TORN | INFRASTRUCTURE | Urgent | Age |",
    "",
    "### Step 1: Look (5 days)",
    "",
    "```bash",
    "ls",
    "```",
    "",
].join("\n");

registry.category("web_tour.tours").add("qms_sop_tables_tour", {
    steps: () => [
        {
            content: "Open the wizard",
            trigger: ".o_control_panel button:contains(Import Markdown)",
            run: "click",
        },
        {
            content: "Paste a text",
            trigger: ".modal .o_field_widget[name=text] textarea",
            run() {
                this.anchor.value = MARKDOWN;
                this.anchor.dispatchEvent(new Event("input", {bubbles: true}));
                this.anchor.dispatchEvent(new Event("change", {bubbles: true}));
            },
        },
        {trigger: ".modal button[name=action_preview]", run: "click"},
        {
            content: "Times are shown as people say them",
            trigger: ".modal .o_qms_import_result:contains(5 days)",
        },
        {
            content: "What is not understood is no offer",
            trigger:
                ".modal .o_field_widget[name=offer_ids] tr:contains(Urgent):contains(Problem):not(:has(input))",
        },
        {
            content: "Nothing is ticked",
            trigger:
                ".modal .o_field_widget[name=offer_ids]:not(:has(td[name=taken] input:checked))",
        },
        {
            content: "Tick the new code",
            trigger:
                ".modal .o_field_widget[name=offer_ids] tr:contains(Add TAPE_JAM) td[name=taken] input",
            run: "click",
        },
        {
            content: "It is ticked",
            trigger:
                ".modal .o_field_widget[name=offer_ids] tr:contains(Add TAPE_JAM) td[name=taken] input:checked",
        },
        {trigger: ".modal button[name=action_import]", run: "click"},
        {
            content: "The draft handles the code",
            trigger:
                ".o_form_view .o_field_widget[name=error_code_ids]:contains(TAPE_JAM)",
        },
    ],
});
