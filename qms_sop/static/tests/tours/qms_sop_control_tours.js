import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const inState = (label) => ({
    content: `The state is ${label}`,
    trigger: `.o_statusbar_status button[aria-checked=true]:contains("${label}")`,
});

tours.add("qms_sop_control_revise_tour", {
    steps: () => [
        {
            content: "Ask for a new revision",
            trigger: ".o_statusbar_buttons button:contains(New revision)",
            run: "click",
        },
        {
            trigger: ".modal div[name=part] label:contains(Major)",
            run: "click",
        },
        {
            content: "The version is told beforehand",
            trigger: ".modal div[name=version]:contains(2.0.0)",
        },
        {
            trigger: ".modal div[name=change_summary] textarea",
            run: "edit Look twice",
        },
        {trigger: ".modal button[name=action_create]", run: "click"},
        inState("Draft"),
        {
            content: "The draft has the content of the revision before",
            trigger: "div[name=step_ids] .o_data_row:contains(Mend)",
        },
        {
            content: "Change the purpose",
            trigger: "div[name=purpose] textarea",
            run: "edit To be tested twice.",
        },
        {trigger: "button[name=action_submit]", run: "click"},
        inState("In review"),
        {
            content: "Nobody approves what he wrote",
            trigger: ".o_form_view:not(:has(button[name=action_approve]))",
        },
    ],
});

tours.add("qms_sop_control_reject_tour", {
    steps: () => [
        inState("In review"),
        {
            content: "See what the draft changes",
            trigger: "button[name=action_compare]",
            run: "click",
        },
        {
            content: "The word that came is marked",
            trigger: ".o_qms_compare ins:contains(twice)",
        },
        {
            trigger: ".o_qms_compare:not(:contains(Mend)) .badge:contains(the same)",
        },
        {
            content: "Show what is the same, too",
            trigger: "div[name=only_changes] input",
            run: "click",
        },
        {trigger: ".o_qms_compare_title:contains(Mend)"},
        {
            content: "Back to the SOP",
            trigger: ".o_breadcrumb a:contains(SOP-TEST-001)",
            run: "click",
        },
        {
            trigger: ".o_statusbar_buttons button:contains(Send back)",
            run: "click",
        },
        {
            trigger: ".modal div[name=reason] textarea",
            run: "edit Say how often",
        },
        {trigger: ".modal button[name=action_confirm]", run: "click"},
        inState("Draft"),
        {
            content: "The reason stands on the SOP",
            trigger: ".alert:contains(Say how often)",
        },
    ],
});

tours.add("qms_sop_control_resubmit_tour", {
    steps: () => [
        inState("Draft"),
        {trigger: ".alert:contains(Say how often)"},
        {
            trigger: "div[name=purpose] textarea",
            run: "edit To be tested exactly twice.",
        },
        {trigger: "button[name=action_submit]", run: "click"},
        inState("In review"),
    ],
});

tours.add("qms_sop_control_approve_tour", {
    steps: () => [
        inState("In review"),
        {trigger: "button[name=action_approve]", run: "click"},
        {trigger: ".modal .btn-primary", run: "click"},
        inState("Approved"),
        {
            content: "Nothing can be typed into it any more",
            trigger: ".o_form_view div[name=purpose]:not(:has(textarea))",
        },
        {trigger: ".nav-link[name=revisions]", run: "click"},
        {
            content: "The revision before is superseded, and still to be seen",
            trigger: "div[name=revision_ids] .o_data_row:contains(Superseded)",
        },
    ],
});

tours.add("qms_sop_control_run_tour", {
    steps: () => [
        inState("Approved"),
        {trigger: ".nav-link[name=reading]", run: "click"},
        {
            content: "Read it",
            trigger: ".o_qms_reading:contains(exactly twice)",
        },
        {trigger: "button[name=action_acknowledge]", run: "click"},
        {trigger: ".o_form_view:not(:has(button[name=action_acknowledge]))"},
        {trigger: "button[name=action_start_run]", run: "click"},
        {trigger: ".modal div[name=sop_id] input:value(SOP-TEST-001 2.0.0)"},
        {trigger: ".modal button[name=action_start]", run: "click"},
        inState("In progress"),
        {
            content: "It was read: nothing to warn of",
            trigger: ".o_qms_run_form:not(:has(.o_qms_unread))",
        },
    ],
});
