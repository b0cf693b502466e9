import {registry} from "@web/core/registry";

function press(name) {
    return {
        trigger: `.o_statusbar_buttons button[name=${name}]:enabled`,
        run: "click",
    };
}

// From a resolved incident to its published post-mortem, in the quick form.
registry.category("web_tour.tours").add("qms_postmortem_tour", {
    steps: () => [
        press("action_open_postmortem"),
        {
            content: "What is missing is listed",
            trigger: ".alert:contains(Before it can be published) li:contains(Summary)",
        },
        {
            trigger: "div[name=kind] .o_radio_item:contains(Quick) input",
            run: "click",
        },
        {
            content: "The quick form has one page to fill in",
            trigger: ".o_notebook a[name=quick]",
            run: "click",
        },
        {
            trigger: ".tab-pane.active div[name=summary] textarea",
            run: "edit Reports were late for an hour",
        },
        {
            trigger: ".tab-pane.active div[name=root_cause] textarea",
            run: "edit Somebody forgot to start the second worker.",
        },
        {
            trigger: ".tab-pane.active div[name=resolution] textarea",
            run: "edit Started it",
        },
        {
            content: "A wording that blames is told while it is written",
            trigger: ".alert:contains(Could be worded without blame):contains(memory)",
        },
        {
            trigger: ".tab-pane.active div[name=root_cause] textarea",
            run: "edit Nothing starts the second worker after a reboot.",
        },
        {
            trigger: ".tab-pane.active div[name=preventive_measures] textarea",
            run: "edit A service that starts it",
        },
        {
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "Nothing is missing, and nobody is blamed",
            trigger:
                ".o_form_view:not(:has(.alert:contains(Could be worded))):not(:has(.alert:contains(Before it can be)))",
        },
        press("action_submit"),
        {
            content: "It is read as a document",
            trigger: ".o_qms_postmortem_document h2:contains(Prevention)",
        },
        press("action_publish"),
        {
            trigger: ".modal div[name=password] input",
            run: "edit qms_operator",
        },
        {
            trigger: ".modal footer .btn-primary:visible",
            run: "click",
        },
        {
            trigger:
                ".o_statusbar_status button.o_arrow_button_current:contains(Published)",
        },
        {
            trigger: ".o_breadcrumb .o_back_button a",
            run: "click",
        },
        {
            content: "The incident leads to it",
            trigger: ".oe_stat_button[name=action_open_postmortem]:contains(Published)",
        },
    ],
});
